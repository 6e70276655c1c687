# SPDX-License-Identifier: Apache-2.0
"""Lives of apps and cgroups in a random order, beside a model of what the rules say.

Policies come, change, keep their patterns or not, overlap, only audit, are rolled back and go; cgroups are born, tagged
by hand and die; apps are killed and restored, alone or all together, and relaxed for a while; the agent reads its configuration again, stops, dies and starts. After each step the agent's word
on whose each cgroup is, what a new socket in it can reach, which reason the log and the counter have if it can't, and
which connections live on, are the model's.
"""
import random

from . import cgroup
from .net import ALLOWED
from .policy import in_days, policy, rule
from .wait import eventually

APPS = ("ant", "bee", "cat")
PORTS = (443, 444, 445)
SHELVES, BOXES, CGROUPS_MAX = 3, 3, 7
AMBIGUOUS = object()
ENDED = ("ECONNABORTED", "ECONNRESET", "EPIPE")


class Model:
    """Whose a cgroup is, and what that app may reach."""

    def __init__(self):
        self.policies = {}  # app: (cgroups that match, ports, mode, the text as it was sent)
        self.before = {}  # the same, of the revision that a rollback brings back
        self.killed, self.relaxed, self.once = set(), set(), set()  # once: had a policy
        self.all_killed = False
        self.owners = {}  # cgroup: app, AMBIGUOUS or None
        self.by_hand = set()

    def look_again(self, path):
        """What policies say of a cgroup; what was said before stays when none says anything."""
        if path in self.by_hand:
            return
        apps = [app for app, (paths, *_) in self.policies.items() if path in paths]
        if len(apps) == 1:
            self.owners[path] = apps[0]
        elif apps:
            self.owners[path] = AMBIGUOUS
        else:
            self.owners.setdefault(path, None)

    def apply(self, app, *made):
        if self.policies.get(app) != made:
            self.before[app] = self.policies.get(app)
        self.policies[app] = made
        self.once.add(app)
        self.look_at_all()

    def delete(self, app):
        del self.policies[app]
        self.before.pop(app, None)
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
        if self.all_killed:
            return {"killed_all"}
        if app in self.killed:
            return {"killed"}
        if app not in self.policies:  # one that has gone wholly may come back by a tag, and has none then
            return {"policy_deleted", "no_policy"} if app in self.once else {"no_policy"}
        _, ports, mode, _ = self.policies[app]
        return set() if port in ports or mode == "audit" or app in self.relaxed else {"no_rule_port"}


class Life:
    resets = True  # what may no longer be is reset, and not only dropped
    def __init__(self, host, seed):
        self.host, self.agent, self.random, self.model = host, host.agent, random.Random(seed), Model()
        self.workers, self.last_globs, self.steps = {}, {}, []
        self.expires = in_days(30)  # the same, so that what is sent again is the same
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
        ports = sorted(self.random.sample(PORTS, self.random.randint(1, len(PORTS))))
        mode = self.random.choice(["enforce", "enforce", "enforce", "audit"])
        self.steps.append(f"put {app} {globs} {ports} {mode}")
        made = policy(app, [rule([ALLOWED], ports)], cgroups=globs, mode=mode, expires=self.expires)
        self.agent.put(made)
        self.last_globs[app] = (globs, paths)
        self.model.apply(app, paths, ports, mode, made)

    def roll_back(self):
        known = sorted(app for app, made in self.model.before.items() if made)
        if known:
            app = self.random.choice(known)
            self.steps.append(f"roll back {app}")
            self.agent.api("POST", f"/v1/policies/{app}/rollback", {})
            self.model.apply(app, *self.model.before[app])
            self.last_globs.pop(app, None)

    def delete(self):
        if self.model.policies:
            app = self.random.choice(sorted(self.model.policies))
            self.relax(app, "0")  # it may go wholly, or come back as it was
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

    def kill_all(self):
        self.steps.append("kill all")
        self.agent.api("POST", "/v1/kill", {"all": True, "reason": "model"})
        self.model.all_killed = True

    def restore_all(self):
        if self.model.all_killed:
            self.steps.append("restore all")
            self.agent.api("POST", "/v1/restore", {"reason": "model"})
            self.model.all_killed = False

    def relax(self, app=None, span=None):
        if app or self.model.policies:
            app = app or self.random.choice(sorted(self.model.policies))
            span = span or self.random.choice(["0", "1h"])
            self.steps.append(f"relax {app} {span}")
            self.agent.api("POST", f"/v1/apps/{app}/relax", {"for": span, "reason": "model"})
            (self.model.relaxed.discard if span == "0" else self.model.relaxed.add)(app)

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

    STEPS = ((apply, 6), (apply_with_the_same_patterns, 6), (roll_back, 2), (delete, 3), (kill, 3), (restore, 4),
             (kill_all, 1), (restore_all, 4), (relax, 2), (give_birth, 9), (die, 5),
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
