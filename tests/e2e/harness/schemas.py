# SPDX-License-Identifier: Apache-2.0
"""The rules of ECS 9.4 and OCSF 1.8 that Egret's events have to keep, written from the schemas and not from the code.

ecs(event) and ocsf(event) return what is wrong, as a list of sentences: [] is right. kept(native, rendered) says
what got lost on the way.
"""
import datetime
import ipaddress
import re

# ---- Types of fields ---------------------------------------------------------------------------------------


def is_int(value):
    return isinstance(value, int) and not isinstance(value, bool)


def is_long(value):
    return is_int(value) and -(1 << 63) <= value < 1 << 63


def is_integer(value):
    return is_int(value) and -(1 << 31) <= value < 1 << 31


def is_text(value):
    return isinstance(value, str) and value != ""


def is_ip(value):
    try:
        return isinstance(value, str) and bool(ipaddress.ip_address(value))
    except ValueError:
        return False


def is_port(value):
    return is_int(value) and 0 <= value <= 65535


def is_moment(value):
    """RFC 3339 in UTC."""
    return isinstance(value, str) and bool(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z", value))


def is_ms(value):
    """Milliseconds since 1970, of this century: seconds and nanoseconds are out of the range."""
    return is_int(value) and 1_000_000_000_000 <= value < 4_200_000_000_000


def is_bool(value):
    return isinstance(value, bool)


def is_object(value):
    return isinstance(value, dict)


def is_texts(value):
    return isinstance(value, list) and value != [] and all(map(is_text, value))


def is_ips(value):
    return isinstance(value, list) and value != [] and all(map(is_ip, value))


def flat(made, prefix=""):
    """{"a": {"b": 1}} as ("a.b", 1); lists are values."""
    for key, value in made.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


# ---- ECS ------------------------------------------------------------------------------------------------------

ECS_FIELDS = {
    "@timestamp": is_moment, "message": is_text, "ecs.version": is_text,
    "event.id": is_text, "event.sequence": is_long, "event.kind": is_text, "event.category": is_texts,
    "event.type": is_texts, "event.action": is_text, "event.outcome": is_text, "event.module": is_text,
    "event.dataset": is_text, "event.severity": is_long, "event.reason": is_text, "event.start": is_moment,
    "event.end": is_moment, "event.duration": is_long,
    "agent.id": is_text, "agent.ephemeral_id": is_text, "agent.type": is_text, "agent.version": is_text,
    "observer.type": is_text, "observer.vendor": is_text, "observer.product": is_text, "observer.version": is_text,
    "observer.hostname": is_text, "host.id": is_text, "host.name": is_text, "host.os.type": is_text,
    "log.level": is_text, "error.code": is_text, "service.name": is_text, "service.id": is_text,
    "process.pid": is_long, "process.name": is_text, "process.user.id": is_text, "user.id": is_text,
    "rule.id": is_text, "rule.version": is_text, "rule.ruleset": is_text, "rule.category": is_text,
    "network.type": is_text, "network.transport": is_text, "network.iana_number": is_text, "network.name": is_text,
    "network.direction": is_text, "network.community_id": is_text, "network.protocol": is_text,
    "network.bytes": is_long, "network.packets": is_long, "tls.client.server_name": is_text,
    "dns.type": is_text, "dns.op_code": is_text, "dns.response_code": is_text, "dns.question.name": is_text,
    "dns.question.type": is_text, "dns.question.class": is_text, "dns.resolved_ip": is_ips,
    "dns.answers": lambda value: isinstance(value, list) and all(map(is_object, value)),
    "related.ip": is_ips, "related.hosts": is_texts, "related.user": is_texts,
    **{f"{end}.{field}": check for end in ("source", "destination") for field, check in {
        "ip": is_ip, "address": is_text, "port": is_port, "bytes": is_long, "packets": is_long, "domain": is_text,
        "geo.name": is_text}.items()},
}
ECS_REQUIRED = ("@timestamp", "ecs.version", "event.id", "event.kind", "event.action", "event.module", "event.dataset",
                "event.category", "event.type", "agent.type", "host.name", "observer.type")
ECS_KINDS = {"alert", "asset", "enrichment", "event", "metric", "state", "pipeline_error", "signal"}
ECS_OUTCOMES = {"success", "failure", "unknown"}
ECS_TYPES = {  # of each category that we use: the types that are expected with it
    "network": {"access", "allowed", "connection", "denied", "end", "info", "protocol", "start"},
    "configuration": {"access", "change", "creation", "deletion", "info"},
    "host": {"access", "change", "end", "info", "start"},
    "process": {"access", "change", "end", "info", "start"},
    "intrusion_detection": {"allowed", "denied", "info"},
}
ECS_DIRECTIONS = {"ingress", "egress", "inbound", "outbound", "internal", "external", "unknown"}
ECS_OS = {"linux", "macos", "unix", "windows", "ios", "android"}
ANSWER = {"data": is_text, "type": is_text, "class": is_text, "name": is_text, "ttl": is_long}


def ecs_categories(fields):
    categories, types = fields.get("event.category", []), set(fields.get("event.type", []))
    for category in categories:
        if category not in ECS_TYPES:
            yield f"event.category {category} is none of ECS (or none of ours)"
        elif not types <= ECS_TYPES[category]:
            yield f"event.type {sorted(types - ECS_TYPES[category])} is not expected with category {category}"
    if {"allowed", "denied"} <= types:
        yield "both allowed and denied"
    if "denied" in types and fields.get("event.outcome") == "success" and "network" in categories and \
            fields["event.dataset"] in ("egret.flow", "egret.deny", "egret.dns"):
        yield "denied, and a success"


def ecs_sums(fields):
    for unit in ("bytes", "packets"):
        total = fields.get(f"network.{unit}")
        parts = [fields.get(f"{end}.{unit}") for end in ("source", "destination")]
        if (total is not None or parts != [None, None]) and total != sum(part or 0 for part in parts):
            yield f"network.{unit} {total} is not the sum of {parts}"
    if fields.get("event.duration") and fields["event.duration"] % 1_000_000:
        yield "event.duration is told to the millisecond, in nanoseconds"
    if "event.start" in fields and "event.end" in fields and fields["event.start"] > fields["event.end"]:
        yield "it ends before it starts"


def ecs(event):
    fields = {path: value for path, value in flat(event)
              if not path.startswith(("egret.", "labels."))}
    wrong = [f"{name} is missing" for name in ECS_REQUIRED if name not in fields]
    for path, value in fields.items():
        if path not in ECS_FIELDS:
            wrong.append(f"{path} is no field that ECS has (or that we use)")
        elif not ECS_FIELDS[path](value):
            wrong.append(f"{path}: {value!r} is of the wrong type")
    for path, allowed in (("event.kind", ECS_KINDS), ("event.outcome", ECS_OUTCOMES), ("host.os.type", ECS_OS),
                          ("network.direction", ECS_DIRECTIONS), ("network.type", {"ipv4", "ipv6"}),
                          ("dns.type", {"query", "answer"})):
        if path in fields and fields[path] not in allowed:
            wrong.append(f"{path}: {fields[path]!r} is not one of {sorted(allowed)}")
    for key, value in event.get("labels", {}).items():
        if not isinstance(value, (str, int, float, bool)) or "." in key:
            wrong.append(f"label {key}: a scalar under a key without dots is allowed")
    for answer in fields.get("dns.answers", []):
        wrong += [f"dns.answers.{key}: {value!r}" for key, value in answer.items()
                  if key not in ANSWER or not ANSWER[key](value)]
    if not fields.get("ecs.version", "").startswith("9.4"):
        wrong.append("ecs.version")
    return wrong + list(ecs_categories(fields)) + list(ecs_sums(fields))


# ---- OCSF -----------------------------------------------------------------------------------------------------

CLASSES = {
    0: ("Base Event", 0, "Uncategorized", {}),
    2004: ("Detection Finding", 2, "Findings", {1: "Create", 2: "Update", 3: "Close"}),
    3004: ("Entity Management", 3, "Identity & Access Management", {
        1: "Create", 2: "Read", 3: "Update", 4: "Delete", 5: "Move", 6: "Enroll", 7: "Unenroll", 8: "Enable",
        9: "Disable", 10: "Activate", 11: "Deactivate", 12: "Suspend", 13: "Resume"}),
    4001: ("Network Activity", 4, "Network Activity", {
        1: "Open", 2: "Close", 3: "Reset", 4: "Fail", 5: "Refuse", 6: "Traffic", 7: "Listen"}),
    4003: ("DNS Activity", 4, "Network Activity", {1: "Query", 2: "Response", 6: "Traffic"}),
    6002: ("Application Lifecycle", 6, "Application Activity", {
        1: "Install", 2: "Remove", 3: "Start", 4: "Stop", 5: "Restart", 6: "Enable", 7: "Disable", 8: "Update"}),
    6008: ("Application Error", 6, "Application Activity", {1: "General Error", 2: "Translation Error"}),
}
SIBLINGS = {  # each number, and the text that goes with it
    "severity": {0: "Unknown", 1: "Informational", 2: "Low", 3: "Medium", 4: "High", 5: "Critical", 6: "Fatal"},
    "status": {0: "Unknown", 1: "Success", 2: "Failure"},
    "action": {0: "Unknown", 1: "Allowed", 2: "Denied"},
    "disposition": {
        0: "Unknown", 1: "Allowed", 2: "Blocked", 3: "Quarantined", 4: "Isolated", 5: "Deleted", 6: "Dropped",
        7: "Custom Action", 8: "Approved", 9: "Restored", 10: "Exonerated", 11: "Corrected",
        12: "Partially Corrected", 13: "Uncorrected", 14: "Delayed", 15: "Detected", 16: "No Action", 17: "Logged",
        18: "Tagged", 19: "Alert", 20: "Count", 21: "Reset", 22: "Captcha", 23: "Challenge", 24: "Access Revoked",
        25: "Rejected", 26: "Unauthorized", 27: "Error"},
    "rcode": {0: "NoError", 1: "FormError", 2: "ServError", 3: "NXDomain", 5: "Refused"},
    "connection_info.direction": {0: "Unknown", 1: "Inbound", 2: "Outbound", 3: "Lateral", 4: "Local"},
    "connection_info.protocol_ver": {
        4: "Internet Protocol version 4 (IPv4)", 6: "Internet Protocol version 6 (IPv6)"},
    "device.type": {0: "Unknown", 1: "Server", 2: "Desktop", 3: "Laptop"},
    "device.os.type": {0: "Unknown", 100: "Windows", 200: "Linux"},
    "query.opcode": {0: "Query"},
    "entity.type": {1: "Device", 2: "User", 3: "Group", 4: "Organization", 5: "Policy", 6: "Email", 7: "Network Zone"},
    "finding_info.analytic.type": {0: "Unknown", 1: "Rule", 2: "Behavioral", 3: "Statistical"},
}
FINDING_STATUS = {0: "Unknown", 1: "New", 2: "In Progress", 3: "Suppressed", 4: "Resolved", 5: "Archived"}
DENIED = {2, 3, 4, 5, 6, 21, 24, 25, 26}
TRAFFIC = ("bytes", "bytes_in", "bytes_out", "packets", "packets_in", "packets_out")
OCSF_FIELDS = {
    "time": is_ms, "start_time": is_ms, "end_time": is_ms, "duration": is_long, "count": is_integer,
    "message": is_text, "is_alert": is_bool, "status_code": is_text, "status_detail": is_text, "comment": is_text,
    "category_uid": is_integer, "class_uid": is_integer, "type_uid": is_long, "activity_id": is_integer,
    "category_name": is_text, "class_name": is_text, "type_name": is_text, "activity_name": is_text,
    "metadata.version": is_text, "metadata.uid": is_text, "metadata.sequence": is_integer,
    "metadata.event_code": is_text, "metadata.log_name": is_text, "metadata.log_provider": is_text,
    "metadata.log_version": is_text, "metadata.original_time": is_text, "metadata.correlation_uid": is_text,
    "metadata.profiles": is_texts, "metadata.product.name": is_text, "metadata.product.vendor_name": is_text,
    "metadata.product.version": is_text, "metadata.tags": lambda tags: all(
        set(tag) == {"name", "value"} and is_text(tag["name"]) and isinstance(tag["value"], str) for tag in tags),
    "device.uid": is_text, "device.hostname": is_text, "device.os.name": is_text,
    "actor.process.pid": is_integer, "actor.process.name": is_text, "actor.process.user.uid": is_text,
    "actor.user.uid": is_text, "actor.app_name": is_text,
    "app_name": is_text, "app.name": is_text, "app.uid": is_text, "app.vendor_name": is_text, "app.version": is_text,
    "policy.name": is_text, "policy.version": is_text, "policy.is_applied": is_bool, "firewall_rule.uid": is_text,
    "connection_info.uid": is_text, "connection_info.community_uid": is_text,
    "connection_info.protocol_num": is_integer, "connection_info.protocol_name": is_text,
    "query.hostname": is_text, "query.type": is_text, "query.class": is_text,
    "answers": lambda answers: all(is_text(answer.get("rdata")) and is_integer(answer.get("ttl", 0)) and
                                   set(answer) <= {"rdata", "ttl", "type", "class"} for answer in answers),
    "entity.name": is_text, "entity.uid": is_text, "entity.version": is_text, "entity.policy.name": is_text,
    "entity.policy.uid": is_text, "entity.policy.version": is_text, "entity.policy.is_applied": is_bool,
    "finding_info.uid": is_text, "finding_info.title": is_text, "finding_info.desc": is_text,
    "finding_info.created_time": is_ms, "finding_info.data_sources": is_texts, "finding_info.analytic.name": is_text,
    "resources": lambda resources: all(is_text(one.get("name")) for one in resources),
    **{f"traffic.{name}": is_long for name in TRAFFIC},
    **{f"{end}_endpoint.{field}": check for end in ("src", "dst") for field, check in {
        "ip": is_ip, "port": is_port, "hostname": is_text, "domain": is_text, "zone": is_text, "uid": is_text}.items()},
}
OCSF_REQUIRED = ("time", "category_uid", "class_uid", "type_uid", "activity_id", "severity_id", "metadata.version",
                 "metadata.product.name", "metadata.product.vendor_name", "device.type_id", "device.os.type_id",
                 "device.os.name")
REQUIRED_OF = {2004: ("finding_info.uid",), 3004: ("entity.name",), 4001: ("connection_info.direction_id",),
               4003: ("connection_info.direction_id",), 6002: ("app.name",)}
OWN = {  # attributes of one class, or of some
    "finding_info": {2004}, "resources": {2004}, "entity": {3004}, "comment": {3004}, "app": {6002}, "query": {4003},
    "answers": {4003}, "rcode_id": {4003}, "src_endpoint": {4001, 4003}, "dst_endpoint": {4001, 4003},
    "connection_info": {4001, 4003}, "traffic": {4001, 4003}, "app_name": {4001, 4003},
}
CONTROL = ("action_id", "disposition_id", "firewall_rule", "policy")  # of the profile security_control


def ocsf_class(event, fields):
    uid, activity = event.get("class_uid"), event.get("activity_id")
    if uid not in CLASSES:
        yield f"there is no class {uid} (or we do not use it)"
        return
    name, category, category_name, activities = CLASSES[uid]
    expected = {"class_name": name, "category_uid": category, "category_name": category_name,
                "type_uid": uid * 100 + activity,
                "type_name": f"{name}: {'Other' if activity == 99 else activities.get(activity)}"}
    if activity != 99:  # of Other, the name is our own
        expected["activity_name"] = activities.get(activity)
    for key, value in expected.items():
        if event.get(key) != value or value is None:
            yield f"{key} is {event.get(key)!r}, not {value!r}"
    for path in REQUIRED_OF.get(uid, ()):
        if path not in fields:
            yield f"{path} is missing, class {uid} requires it"
    for key, classes in OWN.items():
        if key in event and uid not in classes:
            yield f"class {uid} has no {key}"
    if uid in (4001, 4003) and not {"src_endpoint", "dst_endpoint"} & set(event):
        yield "one endpoint is required at least"
    if "query" in event and "query.hostname" not in fields:
        yield "query.hostname is required"


def ocsf_siblings(event, fields):
    for name, captions in SIBLINGS.items():
        if name == "status" and event.get("class_uid") == 2004:
            captions = FINDING_STATUS
        number = fields.get(f"{name}_id")
        if number is None:
            continue
        if not is_integer(number) or fields.get(name) != captions.get(number) or number not in captions:
            yield f"{name}_id {number} goes with {captions.get(number)!r}, not {fields.get(name)!r}"
    if ("action_id" in event or "disposition_id" in event) and \
            (event.get("action_id") == 2) != (event.get("disposition_id") in DENIED):
        yield f"action {event.get('action')} with disposition {event.get('disposition')}"


def ocsf_constraints(event, fields):
    """Objects of which one attribute of some is required; profiles; sums."""
    for path, parts in (("actor", ("process", "user", "app_name")), ("actor.process", ("pid",)),
                        ("src_endpoint", ("ip", "uid", "hostname", "domain")),
                        ("dst_endpoint", ("ip", "uid", "hostname", "domain")),
                        ("policy", ("name", "uid")), ("firewall_rule", ("name", "uid")), ("device", ("hostname",))):
        if any(found.startswith(path + ".") for found in fields) and not any(
                found == f"{path}.{part}" or found.startswith(f"{path}.{part}.") for part in parts for found in fields):
            yield f"{path} needs one of {parts}"
    profiles = fields.get("metadata.profiles", [])
    if not set(profiles) <= {"host", "security_control"} or "host" not in profiles:
        yield f"profiles {profiles}"
    if ("action_id" in event or "disposition_id" in event) and "security_control" not in profiles:
        yield f"{CONTROL} are of the profile security_control"
    for unit in ("bytes", "packets"):
        parts = [fields.get(f"traffic.{unit}_{way}") for way in ("in", "out")]
        if parts != [None, None] and fields.get(f"traffic.{unit}") != sum(part or 0 for part in parts):
            yield f"traffic.{unit} is not the sum of {parts}"
    if is_ms(fields.get("start_time")) and is_ms(fields.get("end_time")) and fields["start_time"] > fields["end_time"]:
        yield "it ends before it starts"


def ocsf(event):
    fields = {path: value for path, value in flat(event) if not path.startswith("unmapped.")}
    wrong = [f"{name} is missing" for name in OCSF_REQUIRED if name not in fields]
    for path, value in fields.items():
        name = path.removesuffix("_id")
        if name in SIBLINGS or path == "entity.type":
            continue
        if path not in OCSF_FIELDS:
            wrong.append(f"{path} is no attribute that OCSF has (or that we use)")
        elif not OCSF_FIELDS[path](value):
            wrong.append(f"{path}: {value!r} is of the wrong type")
    if fields.get("metadata.version") != "1.8.0":
        wrong.append("metadata.version")
    return wrong + list(ocsf_class(event, fields)) + list(ocsf_siblings(event, fields)) + \
        list(ocsf_constraints(event, fields))


# ---- Nothing gets lost ----------------------------------------------------------------------------------------------

TOLD_OTHERWISE = {"type", "phase", "action", "event", "direction", "proto"}  # by class, type, action and number


def leaves(value):
    if isinstance(value, dict):
        for each in value.values():
            yield from leaves(each)
    elif isinstance(value, list):
        for each in value:
            yield from leaves(each)
    else:
        yield value


def in_ms(moment):
    when = datetime.datetime.strptime(moment[:19] + "+0000", "%Y-%m-%dT%H:%M:%S%z")
    return int(when.timestamp()) * 1000 + int(moment.partition(".")[2].rstrip("Z")[:3] or 0)


def forms(key, leaf):
    """How a value may be told: as it is, in another unit, or with its key."""
    yield str(leaf)
    if key == "duration_ms":
        yield str(leaf * 1_000_000)
    if key in ("start", "end"):
        yield str(in_ms(leaf))


def kept(native, rendered):
    """Members of the native event whose value is nowhere in the rendered one."""
    found, lost = set(map(str, leaves(rendered))), []
    for key, value in native.items():
        if key in TOLD_OTHERWISE:
            continue
        if key in ("labels", "host_labels"):
            lost += [f"{key}.{name}" for name, text in value.items() if not {text, f"{name}={text}"} & found]
        elif key == "actor":
            lost += [word for word in value.split() if value not in found and word.split("=", 1)[1] not in found]
        else:
            lost += [f"{key}={leaf}" for leaf in leaves(value) if not found & set(forms(key, leaf))]
    return lost
