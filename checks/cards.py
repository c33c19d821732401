"""What a model card has to cover, and the headings that speak of it."""

from __future__ import annotations

import re

TOPICS = {
    "intended use": r"intended use|purpose|use cases?",
    "limitations": r"limit|out[- ]of[- ]scope|caveat",
    "training data": r"training data|data ?sets?|^data$",
    "performance": r"performance|metrics|evaluation|results",
    "fairness": r"fairness|bias",
    "ethical considerations": r"ethic|privacy",
    "owner": r"owner|contact|maintainer",
    "explanation": r"expla|interpretab",
}
"""Topic -> words of a heading that is about it, case ignored."""

_HEADING = re.compile(
    r"^\s*(?:#{1,6}\s*(?P<marked>.+?)\s*#*|\*\*(?P<bold>[^*]+?):?\*\*:?.*|(?P<plain>[A-Z][\w /&-]{2,40}):.*)$"
)


def topics_of(text: str) -> set[str]:
    """Topics that the headings of a text speak of.

    Headings are lines of Markdown with `#`, in bold, or that begin with a few words and a colon.

    >>> sorted(topics_of("# Purpose\\nScores loans.\\n**Limitations:** none\\nOwner: ada"))
    ['intended use', 'limitations', 'owner']
    """
    headings = [next(filter(None, found.groups()), "") for line in text.splitlines() if (found := _HEADING.match(line))]
    return {
        topic for topic, words in TOPICS.items() if any(re.search(words, one, re.IGNORECASE) for one in headings)
    }  # fmt: skip


def lacking(topics: set[str]) -> list[str]:
    """Topics that a card with these leaves out."""
    return [topic for topic in TOPICS if topic not in topics]
