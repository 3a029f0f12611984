#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""run_formats.py - does formats.py find what it is there to find? One right text and document, and each thing that can be wrong with it.
No daemon: what the daemon says is judged in run_core, run_campaign and run_ctl."""
import copy
import os
import sys
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import formats

METRICS = """\
# HELP campgw_a_total What is "counted".
# TYPE campgw_a_total counter
campgw_a_total{route="one",result="a\\"b\\\\"} 3
campgw_a_total{route="two",result=""} 0
# HELP campgw_b_seconds How long.
# TYPE campgw_b_seconds histogram
campgw_b_seconds_bucket{le="0.1"} 1
campgw_b_seconds_bucket{le="+Inf"} 2
campgw_b_seconds_sum 1.5
campgw_b_seconds_count 2
# HELP process_open_fds Descriptors.
# TYPE process_open_fds gauge
process_open_fds 1e1
"""
WRONG_METRICS = (
    ("a counter without _total", "campgw_a_total", "campgw_a"),
    ("a gauge with _total", "process_open_fds", "process_open_fds_total"),
    ("milliseconds", "campgw_b_seconds", "campgw_b_ms"),
    ("percent", "process_open_fds", "process_open_percent"),
    ("a foreign name", "campgw_b_seconds", "gateway_b_seconds"),
    ("no HELP", '# HELP campgw_a_total What is "counted".\n', ""),
    ("no TYPE", "# TYPE process_open_fds gauge\n", ""),
    ("an unknown type", "fds gauge", "fds gouge"),
    ("TYPE twice", "# TYPE campgw_a_total counter\n", "# TYPE campgw_a_total counter\n# TYPE campgw_a_total counter\n"),
    ("a series twice", 'campgw_a_total{route="two",result=""} 0\n', 'campgw_a_total{route="two",result=""} 0\ncampgw_a_total{result="",route="two"} 1\n'),
    ("a label of the scraper", 'route="two"', 'instance="two"'),
    ("a label twice", 'route="two",result=""', 'route="two",route=""'),
    ("a family in two places", "process_open_fds 1e1\n", 'process_open_fds 1e1\n# HELP campgw_a_total x\ncampgw_a_total{route="three"} 1\n'),
    ("a sample outside its family", "process_open_fds 1e1\n", 'process_open_fds 1e1\ncampgw_a_total{route="three"} 1\n'),
    ("a quotation mark not escaped", 'a\\"b', 'a"b'),
    ("a value that is none", "1e1", "ten"),
    ("a negative counter", '"} 3', '"} -3'),
    ("buckets that fall", 'le="0.1"} 1', 'le="0.1"} 7'),
    ("no last bucket", 'campgw_b_seconds_bucket{le="+Inf"} 2\n', ""),
    ("no sum", "campgw_b_seconds_sum 1.5\n", ""),
    ("a count beside the buckets", "campgw_b_seconds_count 2", "campgw_b_seconds_count 3"),
    ("no end of line", "1e1\n", "1e1"),
)
DOCUMENT = {
    "openapi": "3.1.0", "info": {"title": "t", "version": "1"},
    "components": {"securitySchemes": {"key": {"type": "http", "scheme": "bearer"}}, "schemas": {"A": {"type": "object", "required": ["x"], "properties": {"x": {"type": "string"}}}}},
    "paths": {"/a/{id}": {
        "get": {"operationId": "getA", "security": [{"key": []}], "parameters": [{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}],
                "responses": {"200": {"description": "One.", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/A"}}}}}},
        "delete": {"operationId": "deleteA", "parameters": [{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}], "responses": {"204": {"description": "Gone."}}}}}}


def at(doc, *path, **change):
    """A copy of the document with members of one object changed; None takes one away."""
    doc = copy.deepcopy(doc)
    node = doc
    for step in path:
        node = node[step]
    for k, v in change.items():
        node[k] = v
        if v is None:
            del node[k]
    return doc


GET = ("paths", "/a/{id}", "get")
ID = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
WRONG_DOCUMENTS = (
    ("another version", at(DOCUMENT, openapi="2.0")),
    ("no title", at(DOCUMENT, "info", title="")),
    ("a reference to nothing", at(DOCUMENT, "components", "schemas", B={"$ref": "#/components/schemas/C"})),
    ("a reference to another place", at(DOCUMENT, "components", "schemas", "A", "properties", x={"$ref": "other.json#/A"})),
    ("a component nobody uses", at(DOCUMENT, "components", "schemas", B={"type": "string"})),
    ("no operationId", at(DOCUMENT, *GET, operationId=None)),
    ("operationId twice", at(DOCUMENT, *GET, operationId="deleteA")),
    ("no responses", at(DOCUMENT, *GET, responses={})),
    ("bad responses only", at(DOCUMENT, *GET, responses={"404": {"description": "No."}})),
    ("a response without description", at(DOCUMENT, *GET, "responses", "200", description="")),
    ("a code that is none", at(DOCUMENT, *GET, "responses", good={"description": "x"})),
    ("a path parameter not described", at(DOCUMENT, *GET, parameters=[])),
    ("a path parameter that may be missing", at(DOCUMENT, *GET, parameters=[{**ID, "required": False}])),
    ("a path parameter that is not in the path", at(DOCUMENT, *GET, parameters=[ID, {**ID, "name": "no"}])),
    ("a parameter twice", at(DOCUMENT, *GET, parameters=[ID, ID])),
    ("a parameter without schema", at(DOCUMENT, *GET, parameters=[ID, {"name": "q", "in": "query"}])),
    ("a parameter in no place", at(DOCUMENT, *GET, parameters=[ID, {"name": "q", "in": "body", "schema": {}}])),
    ("a body of no media type", at(DOCUMENT, *GET, requestBody={"content": {}})),
    ("security that is not defined", at(DOCUMENT, *GET, security=[{"token": []}])),
    ("a required member that is no property", at(DOCUMENT, "components", "schemas", "A", required=["y"])),
    ("a method that is none", at(DOCUMENT, "paths", "/a/{id}", brew={})),
)


class Formats(unittest.TestCase):
    def test_nothing_is_found_in_what_is_right(self):
        self.assertEqual(formats.exposition(METRICS), [])
        self.assertEqual(formats.openapi(DOCUMENT), [])

    def test_each_fault_of_a_metrics_text_is_found(self):
        for what, old, new in WRONG_METRICS:
            with self.subTest(what):
                self.assertIn(old, METRICS)
                self.assertNotEqual(formats.exposition(METRICS.replace(old, new)), [])

    def test_each_fault_of_a_description_is_found(self):
        for what, doc in WRONG_DOCUMENTS:
            with self.subTest(what):
                self.assertNotEqual(doc, DOCUMENT)
                self.assertNotEqual(formats.openapi(doc), [])


if __name__ == "__main__":
    unittest.main(verbosity=1)
