"""The story world's sentence patterns for each beat (step) of a story, narrator and voice.

There are six narrators with two voices each. A line has a narrator's number and a pattern, that of
the first voice before that of the second. A single pattern serves both voices. Below "summary" the
number is that of a part of a summary (`stories.SUMMARY_PARTS`).

`@` becomes "a" or "an". The main character is `{name}`, with `{he}`, `{his}` and `{him}`; the thing
is `{adj} {thing}`, the place `{padj} {place}`, the helper `{hadj} {animal}`. `{wish}`, `{problem}`,
`{tried}` and `{solved}` are the clauses of the plot. The other slots are in `grammar`.
"""

from __future__ import annotations

BEATS = (
    "opening want mood problem worry tried fail helper ask answer solved thanks joy meal closing"
).split()

# narrator -> the beats that are left out: the last narrator tells short stories.
SKIPPED: dict[int, tuple[str, ...]] = {
    5: ("mood", "fail", "ask", "answer", "thanks", "joy"),
}

_TEXT = """
= opening
0 One day {name} found @ {thing}.
0 One day {name} found @ {adj} {thing}.
1 Once upon a time, {name} had @ {adj} {thing}.
1 Once upon a time, {name} got @ {thing} from {his} {relative}.
2 It was a {weather} {time} when {name} came to the {padj} {place}.
2 On a {weather} {time}, {name} walked to the {padj} {place}.
3 Near the {padj} {place} lived a {job} named {name}.
3 Long ago, a {job} named {name} lived near the {place}.
4 "Look, @ {adj} {thing}!" said {name}.
4 "I have @ {thing}," {name} told {his} {relative}.
5 {name} had @ {adj} {thing}.
5 {name} bought @ {thing} at the market on {weekday}.
= want
0 {name} wanted to {wish} at the {place}.
0 {He} took it to the {padj} {place} to {wish}.
1 At the {place}, {name} wished to {wish}.
1 More than anything, {name} hoped to {wish} at the {place}.
2 {name} carried @ {adj} {thing} and hoped to {wish}.
2 There {name} saw @ {thing} and longed to {wish}.
3 {name} owned @ {adj} {thing} and loved to {wish}.
3 This {job} had only one wish, to {wish}.
4 "I will go to the {padj} {place} and {wish}," {he} said.
4 "Today I am going to {wish}," said {name} at the {place}.
5 At the {place} {he} tried to {wish}.
5 {He} went to the {padj} {place} to {wish}.
= mood
0 {name} was {glad} and hummed a little tune.
0 The {place} was full of {flowers} that {time}.
1 It was {weekday} and {name} felt very {glad}.
1 The {place} was {weather} and {name} was in no hurry.
2 {name} looked around the {place} and felt {glad}.
2 The {stars} over the {place} made {name} {glad}.
3 Every {time}, {name} thought about the {thing}.
3 In {season}, {name} often looked at the {thing}.
4 "This will be a fine day for the {thing}," {name} added.
4 "What a {weather} {time} for my {thing}," said {name}.
= problem
0 But {problem}.
0 Then {name} saw that {problem}.
1 Sadly, {problem}.
1 Suddenly {name} noticed that {problem}.
2 But alas, {problem}.
2 Before long, {name} learned that {problem}.
3 One {weather} {time}, however, {problem}.
3 Yet {name} could not do it, because {problem}.
4 "Oh no, {problem}!" cried {name}.
4 "I cannot do it now, because {problem}," said {name}.
5 However, {problem}.
5 Soon {problem}.
= worry
0 {name} felt {sad} about the {thing}.
0 That made {name} very {sad}.
1 {He} was so {sad} that {he} sat down by the {thing}.
1 Poor {name} was {sad} and did not know what to do.
2 A {sad} look came over {name} then.
2 {name} gazed at the {thing} with {sad} eyes.
3 The {job} was {sad} and could not sleep.
3 Nobody near the {place} was as {sad} as {name}.
4 "I am so {sad} about my {thing}," {said} {name}.
4 "Now everything is ruined," {said} {name}.
5 {name} was {sad}.
= tried
0 {He} {tried}, but it did not help.
0 First {name} {tried}.
1 So {name} {adverb} {tried}.
1 All alone, {name} {tried}.
2 {name} did not give up and {tried}.
2 For a long while, {name} {adverb} {tried}.
3 The {job} {tried}, but in vain.
3 With a deep breath, {name} {tried}.
4 "I can do this alone," said {name} and {tried}.
4 {name} {adverb} {tried} and counted to ten.
5 {name} {tried}.
5 {He} {adverb} {tried}.
= fail
0 Nothing worked for {name} and the {thing}.
0 {name} was too small to do it alone.
1 The {thing} was no better than before.
1 It was much too hard for {name}.
2 Still {name} had no luck with the {thing}.
2 After an hour, {name} was tired and hungry.
3 It was all for nothing, and {name} gave a sigh.
3 The {thing} needed somebody stronger than {name}.
4 "It is no use," {said} {name}.
4 "I need a friend to help with the {thing}," said {name}.
= helper
0 Then @ {hadj} {animal} came by.
0 @ {hadj} {animal} heard {name} and came closer.
1 Just then, {name} met @ {hadj} {animal}.
1 Along the path came @ {hadj} {animal}.
2 Behind {name} stood @ {hadj} {animal}.
2 From the shadows of the {place} stepped @ {hadj} {animal}.
3 At last @ {hadj} {animal} came to the aid of {name}.
3 Now there was @ {hadj} {animal} that knew {name} well.
4 "Hello, why are you {sad}?" asked @ {hadj} {animal}.
4 "Do not cry, {name}," said @ {hadj} {animal}.
5 @ {hadj} {animal} saw it.
5 @ {hadj} {animal} came to help {name}.
= ask
0 "Can you help me with my {thing}?" asked {name}.
0 "Please help me, {animal}," said {name}.
1 "Would you help me, {animal}?" asked {name}.
1 "Dear {animal}, what should I do about the {thing}?" asked {name}.
2 {name} told the {animal} about the {thing}.
2 {name} showed the {thing} to the {animal}.
3 {name} begged the {animal} for help with the {thing}.
3 "Good {animal}, can you save my {thing}?" asked the {job}.
4 "My {thing} is in trouble," {name} answered.
4 "Something happened to my {thing}," {name} explained to the {animal}.
= answer
0 "Of course I can," said the {animal}.
0 "Let us do it together," said the {animal}.
1 The {animal} nodded and thought for a moment.
1 "I know a trick for that," said the {hadj} {animal}.
2 The {animal} smiled and rolled up its sleeves.
2 The {animal} had a clever plan for the {thing}.
3 "I have been waiting to help you," said the {animal}.
3 "A friend is never far away," replied the {hadj} {animal}.
4 "That is easy for @ {animal}," said the {animal}.
4 "Leave the {thing} to me, {name}," said the {animal}.
= solved
0 The {animal} {solved}.
0 Together they tried again, and the {animal} {solved}.
1 And so the {hadj} {animal} {solved}.
1 In no time at all, the {animal} {solved}.
2 Without a sound, the {animal} {solved}.
2 Then the {hadj} {animal} {adverb} {solved}.
3 It took all {time}, but the {animal} {solved}.
3 To the surprise of {name}, the {animal} {solved}.
4 "Watch me," said the {animal} and {solved}.
4 The {animal} winked at {name} and {solved}.
5 Then the {animal} {solved}.
5 Luckily, the {animal} {solved}.
= thanks
0 "Thank you, {animal}!" {saidglad} {name}.
0 {name} thanked the {animal} with a big hug.
1 "You are the best {animal} in the world," {saidglad} {name}.
1 {name} gave the {animal} a bunch of {flowers}.
2 {name} bowed to the {animal} and said thanks.
2 {name} kissed the {animal} on the nose.
3 "How can I ever thank you?" asked {name}.
3 The {job} gave the {animal} a {color} ribbon.
4 "Thank you for the {thing}, dear {animal}," {saidglad} {name}.
4 "You are so {promise}," {name} told the {animal}.
= joy
0 Now {name} could {wish} at last.
0 {name} was {glad} and played {game} with the {animal}.
1 {name} and the {animal} were {glad} and danced a {dance}.
1 At last {name} was able to {wish}.
2 Soon {name} began to {wish}, and the {animal} watched.
2 {name} was so {glad} that {he} danced a {dance}.
3 From that day on, {name} was free to {wish}.
3 The {job} was {glad} and invited the {animal} to a game of {game}.
4 "Now I can {wish}!" {saidglad} {name}.
4 "Let us play {game} together," said the {glad} {animal}.
= meal
0 They ate {food} and drank {drink}.
0 {name} shared some {food} with the {animal}.
1 For supper they had {food} with {drink}.
1 {name} cooked {food} for the {animal} that {time}.
2 Under the {stars}, {name} and the {animal} ate {food}.
2 The {animal} liked the {food} that {name} made.
3 The {job} brought {food} for the {animal}.
3 There was {drink} and {food} for everyone.
4 "Have some {food}," said {name} to the {animal}.
4 "I love {food} and {drink}," said the {animal}.
5 They ate {food}.
= closing
0 From then on, {name} and the {animal} were friends.
0 It was the best day of all for {name}.
1 And {name} never forgot the {hadj} {animal}.
1 They all lived happily ever after.
2 When night came, {name} walked home with the {thing}.
2 Then {name} went home and slept under the {stars}.
3 And the {place} was a happier place ever after.
3 That is how {name} found a friend.
4 "Good night, dear {animal}," said {name}.
4 "Always ask for help," said {name} at home.
5 {name} was {glad}.
5 {name} went home {glad}.
= summary
0 {name} wanted to {wish}, but {problem}.
0 {name} and @ {animal} saved @ {thing} at the {place}.
1 @ {hadj} {animal} helped {name} with the {thing}.
1 In the end, the {animal} {solved}.
2 This is a story about {name}, @ {thing} and @ {animal}.
2 {name} made a new friend at the {place}.
"""


def by_beat() -> dict[str, dict[int, list[str]]]:
    """Return beat -> narrator -> patterns, one per voice or one for both voices.

    The beat "summary" has the number of a summary's part in the place of the narrator.
    """
    found: dict[str, dict[int, list[str]]] = {}
    beat = ""
    for line in _TEXT.strip().splitlines():
        if line.startswith("= "):
            beat = line[2:]
            found[beat] = {}
        else:
            number, _, pattern = line.partition(" ")
            found[beat].setdefault(int(number), []).append(pattern)
    return found
