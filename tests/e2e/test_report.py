# SPDX-License-Identifier: Apache-2.0
"""egret report: one page, from real events, with nothing in it that a browser would load or run."""
import html.parser
import os

import pytest

from harness import ALLOWED, DENIED, eventually, policy, rule

VOID = {"meta", "br"}
OPTIONAL = {"tr", "td", "th"}  # whose end HTML lets out


class Page(html.parser.HTMLParser):
    """Its elements, attributes and text; each element is closed by its own end."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.attributes, self.said = [], set(), set(), []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag not in VOID | OPTIONAL:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_endtag(self, tag):
        if tag not in OPTIONAL:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.said.append(data)

    def text(self):
        return " ".join(" ".join(self.said).split())


@pytest.fixture
def config():
    return {"flow_update": "1s"}


def test_report(host, agent):
    host.serve([ALLOWED, DENIED], 443)
    app = host.app(policy("web", [rule(ALLOWED, 443)], purpose="Directory lookup",
                          limits={"egress": {"bytes": "64MiB", "per": "1h", "action": "drop"}}), comm='<b onclick="1">')
    app.connect("c", ALLOWED, 443)
    assert app.ask("c", "x" * 4000) == "x" * 4000
    app.close("c")
    assert app.fails("connect", "d", DENIED, 443) == "EPERM"
    agent.kill("web", reason="<script>alert(1)</script>", ticket="INC-7")
    agent.event(type="kill", app="web")
    agent.event(type="flow", phase="end", app="web")
    file = os.path.join(host.directory, "report.html")
    status, out, error = agent.cli("report", "web", "--since", "1h", "-w", file)
    assert (status, error) == (0, "") and out.startswith(f"{file}: 1 app")
    assert not os.path.exists(f"{file}.new")
    with open(file, encoding="utf-8") as opened:
        text = opened.read()
    page = Page(text)
    assert "svg" in page.tags and not page.tags & {"script", "img", "iframe", "object", "b", "a", "link", "form"}
    assert not {name for name in page.attributes if name.startswith("on") or name in ("href", "src", "style")}
    said = page.text()
    for word in ("Egress of web", "killed", "Directory lookup", f"tcp {ALLOWED}:443", f"tcp {DENIED}:443", "no_rule",
                 "<script>alert(1)</script>", "INC-7", "Cap: egress"):
        assert word in said, word

    # --all, into a pipe; an app without events is in it.
    agent.put(policy("quiet", [rule(ALLOWED, 443)], cgroups=host.glob_of("quiet")))
    status, out, error = agent.cli("report", "--all", "--since", "1h")
    assert (status, error) == (0, "")
    assert "quiet" in Page(out).text() and "Egress of all apps" in Page(out).text()

    # It adds up: what the page was made of is what the kernel counted.
    counted = eventually(lambda: agent.app("web"))
    flows = [event for event in agent.query("?app=web&type=flow") if event["phase"] == "end"]
    assert sum(event["bytes_out"] for event in flows) == counted["bytes_out"]
    status, _, error = agent.cli("report", "web", "-w", "/no/such/directory/report.html")
    assert status == 7 and "/no/such/directory" in error
