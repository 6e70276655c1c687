# SPDX-License-Identifier: Apache-2.0
"""Lives of apps and cgroups in a random order, beside a model of what the rules say.

Policies come, change, keep their patterns or not, overlap and go; cgroups are born, tagged by hand and die; apps are
killed and restored; the agent reads its configuration again, stops, dies and starts. After each step the agent's word
on whose each cgroup is, what a new socket in it can reach, which reason the log and the counter have if it can't, and
which connections live on, are the model's.
"""
import random

from . import cgroup
from .net import ALLOWED
from .policy import policy, rule
from .wait import eventually

APPS = ("ant", "bee", "cat")
PORTS = (443, 444, 445)
SHELVES, BOXES, CGROUPS_MAX = 3, 3, 7
AMBIGUOUS = object()
ENDED = ("ECONNABORTED", "ECONNRESET", "EPIPE")


class Model:
    """Whose a cgroup is, and what that app may reach."""

    def __init__(self):
        self.policies = {}  # app: (cgroups that match, ports)
        self.killed, self.once = set(), set()  # once: had a policy
        self.owners = {}  # cgroup: app, AMBIGUOUS or None
        self.by_hand = set()

    def look_again(self, path):
        """What policies say of a cgroup; what was said before stays when none says anything."""
        if path in self.by_hand:
            return
        apps = [app for app, (paths, _) in self.policies.items() if path in paths]
        if len(apps) == 1:
            self.owners[path] = apps[0]
        elif apps:
            self.owners[path] = AMBIGUOUS
        else:
            self.owners.setdefault(path, None)

    def apply(self, app, paths, ports):
        self.policies[app] = (paths, ports)
        self.once.add(app)
        self.look_at_all()

    def delete(self, app):
        del self.policies[app]
        self.look_at_all()

    def look_at_all(self):
        for path in self.owners:
            self.look_again(path)

    def reasons(self, path, port):
        """Why not: one of these reasons; empty when it may."""
        app = self.owners[path]
        if app is AMBIGUOUS:
            return {"ambiguous_cgroup"}
        if app is None:
            return {"unknown_cgroup"}
        if app in self.killed:
            return {"killed"}
        if app not in self.policies:  # one that has gone wholly may come back by a tag, and has none then
            return {"policy_deleted", "no_policy"} if app in self.once else {"no_policy"}
        return set() if port in self.policies[app][1] else {"no_rule_port"}


class Life:
    resets = True  # what may no longer be is reset, and not only dropped
    def __init__(self, host, seed):
        self.host, self.agent, self.random, self.model = host, host.agent, random.Random(seed), Model()
        self.workers, self.last_globs, self.steps = {}, {}, []
        self.kept = {}  # cgroup: (whose it was, port) of its connection that lives

    def globs(self):
        """Some patterns, and the paths of all cgroups there can be that they match."""
        globs, paths = [], set()
        for _ in range(self.random.randint(1, 2)):
            shelf = self.random.choice(["*", *range(SHELVES)])
            box = self.random.choice(["*", "?", *range(BOXES)])
            globs.append(f"{self.host.root}/s{shelf}-b{box}.scope")
            paths |= {self.path(s, b) for s in range(SHELVES) for b in range(BOXES)
                      if shelf in ("*", s) and box in ("*", "?", b)}
        return globs, paths

    def path(self, shelf, box):
        return f"{self.host.root}/s{shelf}-b{box}.scope"

    # -- steps: each does nothing where it makes no sense, and says what it did

    def apply(self):
        app, (globs, paths) = self.random.choice(APPS), self.globs()
        self.put(app, globs, paths)

    def apply_with_the_same_patterns(self):
        known = [app for app in self.model.policies if app in self.last_globs]
        if known:
            app = self.random.choice(known)
            self.put(app, *self.last_globs[app])

    def put(self, app, globs, paths):
        ports = self.random.sample(PORTS, self.random.randint(1, len(PORTS)))
        self.steps.append(f"put {app} {globs} {ports}")
        self.agent.put(policy(app, [rule([ALLOWED], ports)], cgroups=globs))
        self.last_globs[app] = (globs, paths)
        self.model.apply(app, paths, ports)

    def delete(self):
        if self.model.policies:
            app = self.random.choice(sorted(self.model.policies))
            self.steps.append(f"delete {app}")
            self.agent.api("DELETE", f"/v1/policies/{app}")
            self.model.delete(app)

    def kill(self):
        app = self.random.choice(APPS)
        self.steps.append(f"kill {app}")
        self.agent.kill(app, reason="model")
        self.model.killed.add(app)

    def restore(self):
        if self.model.killed:
            app = self.random.choice(sorted(self.model.killed))
            self.steps.append(f"restore {app}")
            self.agent.restore(app, reason="model")
            self.model.killed.discard(app)

    def give_birth(self):
        path = self.path(self.random.randrange(SHELVES), self.random.randrange(BOXES))
        if path not in self.workers and len(self.workers) < CGROUPS_MAX:
            self.steps.append(f"birth {path}")
            self.workers[path] = self.host.process(path)
            self.model.look_again(path)

    def die(self):
        if self.workers:
            path = self.random.choice(sorted(self.workers))
            self.steps.append(f"death {path}")
            worker = self.workers.pop(path)
            worker.stop()
            self.host.workers.remove(worker)
            cgroup.remove(path)
            del self.model.owners[path]
            self.kept.pop(path, None)
            self.model.by_hand.discard(path)

    def tag(self):
        if self.workers:
            path, app = self.random.choice(sorted(self.workers)), self.random.choice(APPS)
            self.steps.append(f"tag {path} {app}")
            self.agent.tag(path, app)
            self.model.owners[path] = app
            self.model.by_hand.add(path)

    def reload(self):
        self.steps.append("reload")
        self.agent.reload()

    def restart(self):
        self.steps.append("restart")
        self.agent.restart()

    def crash(self):
        self.steps.append("crash")
        self.agent.kill9()
        self.agent.start()

    STEPS = ((apply, 6), (apply_with_the_same_patterns, 6), (delete, 3), (kill, 3), (restore, 4), (give_birth, 9), (die, 5),
             (tag, 1), (reload, 2), (restart, 1), (crash, 1))

    def step(self):
        steps, weights = zip(*self.STEPS)
        self.random.choices(steps, weights)[0](self)

    # -- what is compared

    def tags_agree(self):
        """the agent's word on whose the cgroups are"""
        said = {}
        for name, app in self.agent.apps().items():
            said.update({path.strip("/"): name for path in app["cgroups"]})
        wanted = {path: owner for path, owner in self.model.owners.items() if owner in APPS}
        assert {path: name for path, name in said.items() if path in self.workers} == wanted
        return True

    def denials(self, path, port):
        """Told and counted."""
        owner = self.model.owners[path]
        counted = self.agent.status()["unknown"] if owner not in APPS else self.agent.app(owner)
        return len(self.agent.log(type="deny", dst_port=port, pid=self.workers[path].pid)), counted["denied"]

    def sockets_agree(self):
        path, port = self.random.choice(sorted(self.workers)), self.random.choice(PORTS)
        app, reasons = self.workers[path], self.model.reasons(path, port)
        told, counted = self.denials(path, port)
        if not reasons:
            app.connect("c", ALLOWED, port)
            assert app.ask("c") == "ping"
            if path not in self.kept:
                app.connect("kept", ALLOWED, port)
                self.kept[path] = (self.model.owners[path], port)
        else:
            assert app.fails("connect", "c", ALLOWED, port) == "EPERM", reasons
            eventually(lambda: self.denials(path, port)[0] == told + 1, what="the event")
            assert self.denials(path, port)[1] > counted  # what connections that were cut still send counts as well
            assert self.agent.log(type="deny", dst_port=port, pid=app.pid)[-1]["reason"] in reasons
        app.close("c")

    def kept_agree(self):
        """A connection lives as long as it may be had: by the same app, or by the one that its cgroup is now."""
        for path, (owner, port) in list(self.kept.items()):
            app, now = self.workers[path], self.model.owners[path]
            if self.model.reasons(path, port):
                if now == owner and self.resets:
                    assert app.end("kept", 5) in ENDED
                else:
                    assert app.fails("ask", "kept", timeout=1), "it lives"
                app.close("kept")
                del self.kept[path]
            elif now == owner:
                assert app.ask("kept") == "ping"
            else:  # it may have been cut, or be the other's
                app.close("kept")
                del self.kept[path]

    def check(self):
        try:
            eventually(self.tags_agree)
            self.kept_agree()
            if self.workers:
                self.sockets_agree()
        except Exception as error:
            raise AssertionError("after these steps:\n" + "\n".join(self.steps)) from error
