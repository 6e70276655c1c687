# SPDX-License-Identifier: Apache-2.0
"""Policies as dictionaries."""
import datetime
import json


def moment(when):
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


def in_days(days):
    return moment(datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=days))


def in_seconds(seconds):
    """That many seconds ahead, rounded up to a whole one."""
    when = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds + 0.999999)
    return moment(when)


def rule(to, ports=None, proto="tcp", **more):
    """An egress rule; `to` is an address or a list of them. A cgroup's own ports are numbers or "1-9"."""
    made = {"to": [to] if isinstance(to, str) else list(to), "proto": proto}
    if ports is not None:
        made["ports"] = ports if isinstance(ports, list) else [ports]
    return {**made, **more}


def source(peer, ports=None, proto="tcp", **more):
    """An ingress rule."""
    made = rule(peer, ports, proto, **more)
    made["from"] = made.pop("to")
    return made


def policy(app, egress=(), **more):
    """Everything that a policy needs; `more` replaces and adds, None leaves a key out."""
    made = {
        "version": 1,
        "app": app,
        "owner": "owner@example.com",
        "ticket": "SEC-1",
        "expires": in_days(30),
        **more,
    }
    if egress:
        made["egress"] = list(egress)
    return {key: value for key, value in made.items() if value is not None}


def text(made):
    return json.dumps(made, indent=2) + "\n"
