"""The comparison of the paper's four systems: SONAR-LLM, two Large Concept Models, a token Llama.

Source: SONAR-LLM, arXiv 2508.05305. Every measure takes each of the four and treats them alike.
"""
