# SPDX-License-Identifier: Apache-2.0
"""formats.py - what is wrong with a /metrics text or an OpenAPI document? A list of faults, empty when nothing is.

Sources: Prometheus' text format 0.0.4 and its naming rules (https://prometheus.io/docs/instrumenting/exposition_formats/,
https://prometheus.io/docs/practices/naming/); OpenAPI 3.1.0, 4.8 (https://spec.openapis.org/oas/v3.1.0).
"""
import json
import re
import shutil
import subprocess

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"'
SAMPLE = re.compile(r"^(%s)(?:\{(%s(?:,%s)*)?\})? (\S+)$" % (NAME, LABEL, LABEL))
# base units only: seconds, bytes, ratio
SCALED = re.compile(r"_(ns|us|ms|s|sec|millis|milliseconds|microseconds|nanoseconds|minutes|hours|days|kb|mb|gb|kilobytes|megabytes|gigabytes|percent|pct)(_total)?$")
TYPES = ("counter", "gauge", "histogram", "summary", "untyped")
METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")


def number(text):
    return float({"+Inf": "inf", "-Inf": "-inf", "NaN": "nan"}.get(text, text))


def exposition(text):
    """Faults of a text in the exposition format."""
    faults, families, series, current = [], {}, {}, None
    if not text.endswith("\n"):
        faults.append("the last line does not end")
    for n, line in enumerate(text.splitlines(), 1):
        head = re.match(r"^# (HELP|TYPE) (%s) (.+)$" % NAME, line)
        if head:
            kind, name, rest = head.groups()
            if name != current:
                if name in families:
                    faults.append("line %d: family %s again" % (n, name))
                current = name
            known = families.setdefault(name, {})
            if kind in known:
                faults.append("line %d: second %s of %s" % (n, kind, name))
            known[kind] = rest
            if kind == "TYPE" and rest not in TYPES:
                faults.append("line %d: type %s" % (n, rest))
            continue
        m = SAMPLE.match(line)
        if not m:
            faults.append("line %d cannot be read: %s" % (n, line))
            continue
        name, labels = m[1], [(x[1], x[2]) for x in re.finditer(LABEL, m[2] or "")]
        base = current if current and re.fullmatch(re.escape(current) + ("(_bucket|_sum|_count)" if families[current].get("TYPE") == "histogram" else ""), name) else None
        if not base:
            faults.append("line %d: %s stands outside its family" % (n, name))
        if len({k for k, _ in labels}) != len(labels):
            faults.append("line %d: a label twice" % n)
        if {"job", "instance"} & {k for k, _ in labels}:
            faults.append("line %d: a label that the scraper sets itself" % n)
        key = (name, frozenset(labels))
        if key in series:
            faults.append("line %d: series %s again" % (n, m[0].rsplit(" ", 1)[0]))
        try:
            series[key] = number(m[m.lastindex])
        except ValueError:
            faults.append("line %d: no number" % n)
    for name, known in families.items():
        faults += family(name, known, [(k, v) for k, v in series.items() if k[0].startswith(name)])
    return faults


def family(name, known, series):
    faults, kind = [], known.get("TYPE")
    if set(known) != {"HELP", "TYPE"}:
        faults.append("%s has no %s" % (name, " and no ".join({"HELP", "TYPE"} - set(known))))
    if not re.match(r"^(campgw|process)_[a-z0-9_]+$", name):
        faults.append("%s: name" % name)
    if (kind == "counter") != name.endswith("_total"):
        faults.append("%s: a counter ends in _total, nothing else does" % name)
    if SCALED.search(name) or re.search(r"_(bucket|count|sum)$", name):
        faults.append("%s: unit or suffix" % name)
    if kind == "counter" and any(not v >= 0 for _, v in series):
        faults.append("%s: a counter below 0" % name)
    if kind == "histogram":
        values, sets = dict(series), {}
        for (sample, labels), v in series:
            le = dict(labels).get("le")
            if (le is not None) != sample.endswith("_bucket"):
                faults.append("%s: le belongs on buckets" % name)
            elif le is not None:
                sets.setdefault(frozenset(l for l in labels if l[0] != "le"), []).append((number(le), v))
        for labels, buckets in sets.items():
            buckets.sort()
            counts = [v for _, v in buckets]
            if counts != sorted(counts) or buckets[-1][0] != float("inf") or values.get((name + "_count", labels)) != counts[-1] or (name + "_sum", labels) not in values:
                faults.append("%s: buckets of %s" % (name, dict(labels)))
    return faults


def resolve(doc, ref):
    """What a reference inside the document points to; None = nothing."""
    at = doc
    for step in ref[2:].split("/") if ref.startswith("#/") else ["?"]:
        step = step.replace("~1", "/").replace("~0", "~")
        if not isinstance(at, dict) or step not in at:
            return None
        at = at[step]
    return at


def nodes(node, path=""):
    yield path, node
    for k, v in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        yield from nodes(v, "%s/%s" % (path, k))


def promtool(text):
    """What Prometheus' own checker says of the text; "" = nothing, or it is not installed (Debian: prometheus)."""
    if not shutil.which("promtool"):
        return ""
    done = subprocess.run(["promtool", "check", "metrics"], input=text, text=True, capture_output=True, timeout=60, check=False)
    return done.stdout + done.stderr + ("status %d" % done.returncode if done.returncode else "")


def openapi(doc):
    """Faults of an OpenAPI 3.1 document."""
    faults = []
    if not re.match(r"^3\.1\.\d+$", doc.get("openapi", "")):
        faults.append("openapi: version")
    faults += ["info: no %s" % k for k in ("title", "version") if not doc.get("info", {}).get(k)]
    used = set()
    for path, node in nodes(doc):
        if isinstance(node, dict) and isinstance(node.get("$ref"), str):
            used.add(node["$ref"])
            if resolve(doc, node["$ref"]) is None:
                faults.append("%s: %s leads nowhere" % (path, node["$ref"]))
    for group, members in doc.get("components", {}).items():
        if group != "securitySchemes":
            faults += ["components: %s/%s is used by nobody" % (group, m) for m in members if "#/components/%s/%s" % (group, m) not in used]
    ids = {}
    for path, item in doc.get("paths", {}).items():
        if not path.startswith("/"):
            faults.append("%s: path" % path)
        for method, op in item.items():
            at = method.upper() + " " + path
            if method not in METHODS:
                faults.append("%s: no such method" % at)
                continue
            faults += operation(doc, path, at, op)
            ids.setdefault(op.get("operationId"), []).append(at)
    faults += ["operationId %s: %s" % (i, ", ".join(at)) for i, at in ids.items() if i is None or len(at) > 1]
    faults += ["%s: nullable is a word of 3.0, the type is a list with null" % path for path, node in nodes(doc) if isinstance(node, dict) and "nullable" in node and "type" in node]
    for path, node in nodes(doc):
        if isinstance(node, dict) and isinstance(node.get("properties"), dict) and not isinstance(node["properties"].get("type"), str):
            faults += ["%s: required %s is no property" % (path, r) for r in node.get("required", []) if r not in node["properties"] and "allOf" not in node]
    return faults


def operation(doc, path, at, op):
    faults = []
    inside = lambda x: resolve(doc, x["$ref"]) or {} if "$ref" in x else x
    answers = op.get("responses") or {}
    if not any(re.match(r"^[23]\d\d$", code) for code in answers):
        faults.append("%s: no good response" % at)
    for code, answer in answers.items():
        if not re.match(r"^([1-5](\d\d|XX)|default)$", code) or not inside(answer).get("description"):
            faults.append("%s: response %s" % (at, code))
    parameters = [inside(p) for p in op.get("parameters", [])]
    for p in parameters:
        if p.get("in") not in ("path", "query", "header", "cookie") or not p.get("name") or ("schema" in p) == ("content" in p):
            faults.append("%s: parameter %s" % (at, json.dumps(p)[:80]))
    names = [(p.get("in"), p.get("name")) for p in parameters]
    if len(names) != len(set(names)):
        faults.append("%s: a parameter twice" % at)
    wanted = set(re.findall(r"\{([^}]+)\}", path))
    have = {p["name"] for p in parameters if p.get("in") == "path" and p.get("required") is True}
    if wanted != have:
        faults.append("%s: path parameters %s, described %s" % (at, sorted(wanted), sorted(have)))
    if "requestBody" in op and not inside(op["requestBody"]).get("content"):
        faults.append("%s: a body of no media type" % at)
    schemes = doc.get("components", {}).get("securitySchemes", {})
    faults += ["%s: security %s is not defined" % (at, name) for s in op.get("security", doc.get("security", [])) for name in s if name not in schemes]
    return faults
