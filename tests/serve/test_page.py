"""The page, in a real browser where there is one: it writes, sums up, stops and escapes."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path
from queue import Queue
from typing import Any

import pytest
import uvicorn

from sonar_cli import SonarLLM
from sonar_cli.serve.app import application
from sonar_cli.serve.options import ServeOptions
from sonar_cli.serve.page import _hash, page
from sonar_cli.serve.run import listen

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
HOSTILE = '<img src=x onerror="document.title=1"> & <b>Lily</b> found a kite.'
# What a person does, and what the page then shows, is sent to /report.
PERSON = """
(async () => {
  const violations = [];
  const note = (event) => violations.push(event.effectiveDirective);
  document.addEventListener("securitypolicyviolation", note);
  const until = async (met) => { while (!met()) await new Promise((go) => setTimeout(go, 20)); };
  const done = () => !$("continue").disabled;
  const shown = () => ({
    state: $("state").textContent, bad: $("state").className, title: document.title,
    given: [...document.querySelectorAll("#result .given")].map((e) => e.textContent),
    fresh: [...document.querySelectorAll("#result .new")].map((e) => e.textContent),
    elements: [...document.querySelectorAll("#result *")].map((e) => e.tagName),
  });
  const report = { model: null };
  await until(() => $("model").textContent);
  report.model = $("model").textContent;
  report.labels = [...document.querySelectorAll("input, textarea")].every((e) => e.labels.length);
  $("text").value = HOSTILE; $("count").value = 3; $("seed").value = 4;
  $("continue").click(); await until(done); report.continued = shown();
  $("text").value = TALE; $("count").value = 2;
  $("summarize").click(); await until(done); report.summed = shown();
  $("text").value = TALE; $("count").value = 32; $("seed").value = "";
  $("continue").click(); await until(() => document.querySelector("#result .new"));
  $("stop").click(); await until(done); report.stopped = shown();
  $("text").value = "x".repeat(3000);
  $("continue").click(); await until(done); report.long = shown();
  try { eval("1"); } catch { report.no_eval = true; }
  try { await fetch("http://127.0.0.2:9/"); } catch { report.no_other_host = true; }
  const image = new Image(); image.src = "http://127.0.0.2:9/x.png"; document.body.append(image);
  await until(() => violations.length >= 3);
  report.violations = violations;
  await fetch("report", { method: "POST", body: JSON.stringify(report) });
})();
"""
TALE = "Tom found a kite. It was stuck in a tree. Tom was sad. His father came. They got it down."


class Outside(HTMLParser):
    """Collects whatever a page names that is not in it."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.handlers: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [v for k, v in attrs if k in ("src", "href", "action") and v]
        self.handlers += [k for k, _ in attrs if k.startswith("on") or k == "style"]


def test_the_page_names_nothing_outside() -> None:
    html, headers = page()
    outside = Outside()
    outside.feed(html)
    assert outside.found == ["data:,"] and outside.handlers == []
    assert not re.search(r"https?://|innerHTML|insertAdjacentHTML|document\.write|eval\(", html)
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; ") and "unsafe" not in policy
    assert len(re.findall(r"'sha256-[\w+/]+='", policy)) == 2


class Driven:
    """The application, with a person's script in its page, and an ear for what it reports."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.reports: Queue[Any] = Queue()
        values = {"HOSTILE": json.dumps(HOSTILE), "TALE": json.dumps(TALE)}
        script = re.sub("HOSTILE|TALE", lambda name: values[name[0]], PERSON)
        # A script's end within it would end it.
        self.script = script.replace("</", "<\\/")

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"] == "/":
            html, headers = page()
            policy = headers["Content-Security-Policy"]
            policy = policy.replace("script-src ", f"script-src {_hash(self.script)} ")
            body = html.replace("</body>", f"<script>{self.script}</script></body>")
            fields = {**headers, "Content-Security-Policy": policy, "Content-Type": "text/html"}
            await self._answer(send, fields, body.encode())
        elif scope["type"] == "http" and scope["path"] == "/report":
            body = b""
            while True:
                message = await receive()
                body += message.get("body", b"")
                if not message.get("more_body"):
                    break
            self.reports.put(json.loads(body))
            await self._answer(send, {}, b"")
        else:
            await self.app(scope, receive, send)

    async def _answer(self, send: Any, headers: dict[str, str], body: bytes) -> None:
        fields = [(k.lower().encode(), v.encode()) for k, v in headers.items()]
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        await send({"type": "http.response.body", "body": body})


@contextmanager
def _serving(app: Any) -> Iterator[str]:
    listening = listen("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
    finally:
        server.should_exit = True
        thread.join()
        listening.close()


def _browser() -> str | None:
    return next(filter(None, map(shutil.which, BROWSERS)), None)


@pytest.mark.skipif(_browser() is None, reason="there is no Chromium")
def test_the_page_in_a_browser(llm: SonarLLM, tmp_path: Path) -> None:
    driven = Driven(application(llm, ServeOptions(max_chars=2_000), print))
    command = [
        *(_browser(), "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run"),
        *("--disable-dev-shm-usage", "--no-proxy-server", "--disable-background-networking"),
        f"--user-data-dir={tmp_path}",
    ]
    decode = llm.codec.decode

    def slowly(*given: Any, **more: Any) -> Any:  # so that a text can be stopped before its end
        time.sleep(0.3)
        return decode(*given, **more)

    with pytest.MonkeyPatch.context() as patch, _serving(driven) as url:
        patch.setattr(llm.codec, "decode", slowly)
        browser = subprocess.Popen(
            [*command, url], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            report = driven.reports.get(timeout=240)
        finally:
            browser.kill()
            browser.wait()
    _check(report, llm)


def _check(report: dict[str, Any], llm: SonarLLM) -> None:
    assert report["model"] == "Model: mini" and report["labels"]
    wanted = [
        step.text for step in llm.continue_(HOSTILE, sentences=3, seed=4) if step.text is not None
    ]
    continued = report["continued"]
    assert continued["given"] == [HOSTILE]
    assert [each.strip() for each in continued["fresh"]] == wanted
    assert (continued["state"], continued["bad"]) == (f"{len(wanted)} sentences", "")
    assert set(continued["elements"]) == {"SPAN"} and continued["title"] == "sonar-llm"
    summary = llm.summarize(TALE, sentences=2)
    assert report["summed"]["fresh"] == ["\n".join(each.text for each in summary.sentences)]
    assert report["summed"]["state"] == "2 of 5 sentences"
    assert report["stopped"]["state"] == "stopped" and report["stopped"]["fresh"]
    assert report["long"]["bad"] == "bad" and "2000 characters" in report["long"]["state"]
    assert report["no_eval"] and report["no_other_host"]
    assert {"script-src", "connect-src", "img-src"} <= set(report["violations"])
