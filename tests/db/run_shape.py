# SPDX-License-Identifier: Apache-2.0
"""run_shape.py - may the database be distributed by `part`? Asks the migrated schema, and PostgreSQL's planner about every statement.

The statements are taken from core/store/ as the C preprocessor leaves them, prepared, and explained with a generic plan: each scan of a
customer-scoped table must be bound to one part, the same one for all tables of the statement. What is allowed to do otherwise stands in
the tables below with its reason; an entry that is no longer needed fails too. Citus itself is not asked; see sql/README.md.

Needs CAMPGW_TEST_OWNER_DB, a migrated database (scripts/test db makes one), and a C compiler as $CC or cc.
"""
import glob
import json
import os
import re
import subprocess
import sys
import unittest

ROOT = os.environ.get("CGW_SRCDIR") or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "scripts/lib"))
import stack  # noqa: E402

# Many rows, each met by its own part: one query that goes to several shards, or a repartition of the uploaded rows.
BY_ROW = {
    "store_facts_touch": "one commit may forbid something to people of several parts; rises last, in part order",
    "store_people_find": "an upload asks for a block of people; each by its own part",
    "store_people_close": "uploaded people meet their earlier addresses",
    "store_customers_close": "uploaded people meet their earlier addresses",
    "pair_all": "two addresses of one person, each by its own part",
    "steps": "an upload of consents, each row by its own part",
    "count": "an upload of consents, each row by its own part",
    "store_dnd_replace": "a list is replaced by an upload; each row by its own part",
    "store_dnd_remove": "an upload takes people off a list; each row by its own part",
    "store_parts_release": "leases: 64 small rows, in part order",
    "store_chunks_due": "what is due in all parts that this node holds; once per turn, keys only",
    "store_echo_due": "what is due in all parts that this node holds; once per turn, keys only",
    "store_plan_waves": "the planner's look at open work, 64 probes of an index per running wave",
    "store_campaign_progress": "a report over all parts, asked by people",
    "store_queues": "a gauge over open work, 64 probes of an index per running wave, every 5 s",
    "store_responses_list": "a report over all parts, asked by people",
    "store_responses_answers": "a report over all parts, asked by people",
    "store_responses_json": "the media of one response, met by its part",
    "find_one": "contact ids of the API carry no part before the decision; asked by people",
    "rows_of_customer": "bound to $1 in a materialised step, its rows looked up by their part",
    "store_tasks_settle": "a flush ends tasks of several parts, each by its own part, under their locks",
    "withdraw": "agents take what ends first, wherever it lies; each row by its own part",
    "lease": "agents take what ends first, wherever it lies; each row by its own part",
    "open_runs": "probes under way, at most one per route; each by its own part",
    "rows_of_waves": "bound to $1 in a materialised step, its rows looked up by their part",
}
# Asked of every part, because nobody can know it beforehand.
EVERYWHERE = {
    "store_parts_retake": "leases: 64 small rows, in part order",
    "store_parts_acquire": "leases: 64 small rows, in part order",
    "store_parts_renew": "leases: 64 small rows, in part order",
    "store_nodes_disconnect": "does the node hold a living lease? 64 small rows, when a node has fallen silent",
    "store_refs_find": "a receipt names the provider's id, not the person; one hash index lookup per shard",
    "store_doubt_find": "a receipt without a known id is matched by address; the table is small and short-lived",
    "store_doubt_count": "a gauge",
    "store_root_append": "signs the heads of all chains, once an hour",
    "store_customer_by_external": "support looks for a customer by the id of another system",
    "store_people_external": "an upload names people by the id of another system; one index lookup per shard",
    "pair_steps": "does an address of somebody else lead here? their parts are those of their keys; by an index",
    "add_aliases": "does an address of somebody else lead here? their parts are those of their keys; by an index",
    "lead": "the addresses of one person stand in the parts of their keys; by an index",
    "has_other": "the addresses of one person stand in the parts of their keys; by an index",
    "store_dnd_delete": "a whole list is deleted",
    "store_dnd_fill_may": "is the list empty? asked once per upload",
    "entries_sql": "a page of a list's entries in key order, for people",
    "store_media_delete": "does an answer refer to the media? one index probe per shard, asked by people",
    "store_media_json": "does an answer refer to the media? one index probe per shard, asked by people",
    "store_media_list": "does an answer refer to the media? one index probe per shard and row, asked by people",
    "store_task_counts": "how many tasks of an instance are open: one index per shard, about once a second",
    "store_tasks_ended": "tasks that ended and stand in no log yet: small indexes, once a second",
    "pick_sql": "agents take what ends first, wherever it lies",
    "store_task_list": "a page of the list of tasks, for people",
    "settle_sql": "settlement figures over all parts, asked by people",
    "store_people_any": "is the base empty? asked once at start of an upload",
}
# One person of two parts: copied from the id that ends to the one that is kept, both parts locked in order.
TWO_PARTS = {"copy_steps": "joining two customers", "optout_steps": "a new owner of an address, or a tombstone, keeps opt-outs"}
# Texts that are put together at run time: what may stand for their %s.
COMPLETED = {"reserve_known": ("{1}", "n[1] = coalesce(w.n[1], 0) + 1", "coalesce(w.n[1], 0) < 2")}
# Tables that know a person or contact and have no part.
NO_PART = {"receipt_early": "receipts for ids never seen: no contact is known yet, so no part either",
           "route_probe": "belongs to a route, not to a person: the number is our own", "probe_run": "belongs to a route; in_part says where its contact is"}

STATEMENT = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH|MERGE|LOCK|COPY)\b")
TEMPORARY = re.compile(r"CREATE TEMP TABLE IF NOT EXISTS (\w+ \(.*?\))\s*(?:ON COMMIT|;|$)", re.S)
LITERAL = re.compile(r"\"((?:[^\"\\]|\\.)*)\"|'(?:[^'\\]|\\.)*'")
OWNER = re.compile(r"^\w[^;={}]*?\b(\w+)(?:\(|\[\] =)", re.M)


def texts(path):
    """(function or constant, string) of one source, adjacent literals joined."""
    done = subprocess.run([*os.environ.get("CC", "cc").split(), "-E", "-P", "-D_GNU_SOURCE", "-Icore", "-Icore/include", path], cwd=ROOT, capture_output=True, text=True,
                          timeout=60, check=True)
    owners = [(m.start(), m[1]) for m in OWNER.finditer(done.stdout)]
    found, end = [], -1
    for m in LITERAL.finditer(done.stdout):
        if m[1] is None:
            continue
        text = m[1].encode().decode("unicode_escape")
        if end >= 0 and not done.stdout[end:m.start()].strip():
            found[-1][1] += text
        else:
            found.append([next((name for at, name in reversed(owners) if at < m.start()), "?"), text])
        end = m.end()
    return found


def psql(script):
    done = subprocess.run([os.path.join(stack.pg_bin(), "psql"), "-qXAt", "-f", "-", os.environ["CAMPGW_TEST_OWNER_DB"]], input="SET search_path = campgw;\n" + script,
                          capture_output=True, text=True, timeout=120, check=True)
    return done.stdout


def rows(sql):
    return [line.split("|") for line in psql(sql + ";").splitlines()]


def nodes(plan):
    yield plan
    for child in plan.get("Plans", []):
        yield from nodes(child)


def conditions(plan):
    return " ".join(str(plan.get(k, "")) for k in ("Index Cond", "Recheck Cond", "Filter"))


def scans(plan):
    """(table, alias, what binds it) of each scan; a bitmap's condition stands in its index nodes."""
    for node in nodes(plan):
        if "Relation Name" in node and node["Node Type"] != "ModifyTable":
            yield (re.sub(r"_(\d+|sliding)$", "", node["Relation Name"]), node["Alias"],
                   " ".join(conditions(n) for n in nodes(node)) if node["Node Type"] == "Bitmap Heap Scan" else conditions(node))


def joined_by_part(plan, alias):
    joins = " ".join(str(n.get(k, "")) for n in nodes(plan) for k in ("Hash Cond", "Merge Cond", "Join Filter"))
    return re.search(r"\b%s\.part\b" % re.escape(alias), joins)


class shape(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        if not os.environ.get("CAMPGW_TEST_OWNER_DB"):
            raise unittest.SkipTest("CAMPGW_TEST_OWNER_DB is not set: run scripts/test db")
        cls.scoped = {r[0] for r in rows("SELECT relname FROM pg_class c JOIN pg_attribute a ON attrelid = c.oid WHERE attname = 'part' AND relkind IN ('r', 'p')"
                                         " AND NOT relispartition AND relnamespace = 'campgw'::regnamespace AND relname <> 'part_list'")}
        found = [t for path in sorted(glob.glob(os.path.join(ROOT, "core/store/*.c"))) if not path.endswith("store_schema.c")  # migrations: no customer
                 for t in texts(os.path.relpath(path, ROOT))]
        cls.temporary = sorted({t for _, text in found for t in TEMPORARY.findall(text)})
        cls.statements = [(name, text % COMPLETED[name] if name in COMPLETED else text) for name, text in found if STATEMENT.match(text)]
        cls.plans = cls.explain()

    @classmethod
    def explain(cls):
        """index -> plan or the server's refusal, all in one session."""
        script = ["SET plan_cache_mode = force_generic_plan;\n", *("CREATE TEMP TABLE %s;\n" % t for t in cls.temporary)]
        for i, (_, text) in enumerate(cls.statements):
            if not text.startswith("COPY"):
                n = max(map(int, re.findall(r"\$(\d+)", text)), default=0)
                script.append("\\echo @@%d\nPREPARE s AS %s;\n\\if :ERROR\n\\echo refused: :LAST_ERROR_MESSAGE\n\\else\nEXPLAIN (FORMAT JSON, COSTS OFF) EXECUTE s%s;\nDEALLOCATE s;\n\\endif\n"
                              % (i, text, "(%s)" % ", ".join(["NULL"] * n) if n else ""))
        pieces = re.split(r"^@@(\d+)\n", psql("".join(script)), flags=re.M)
        return {int(i): text for i, text in zip(pieces[1::2], pieces[2::2])}

    def test_every_table_that_knows_a_person_has_part(self):
        found = {r[0] for r in rows("SELECT DISTINCT relname FROM pg_class c JOIN pg_attribute a ON attrelid = c.oid WHERE attname IN ('customer_id', 'contact_id', 'address_key', 'person_key')"
                                    " AND relkind IN ('r', 'p') AND NOT relispartition AND relnamespace = 'campgw'::regnamespace")}
        self.assertGreater(len(found), 12)
        self.assertEqual(found - self.scoped, set(NO_PART))

    def test_part_leads_every_unique_key(self):
        wrong = rows("SELECT t.relname, i.relname, pg_get_indexdef(i.oid) FROM pg_index x JOIN pg_class t ON t.oid = indrelid JOIN pg_class i ON i.oid = indexrelid"
                     " LEFT JOIN pg_attribute a ON attrelid = t.oid AND attnum = indkey[0] WHERE indisunique AND t.relnamespace = 'campgw'::regnamespace"
                     " AND t.relname IN (%s) AND attname IS DISTINCT FROM 'part'" % ", ".join("'%s'" % t for t in self.scoped))
        self.assertEqual(wrong, [])
        without = rows("SELECT relname FROM pg_class c WHERE relnamespace = 'campgw'::regnamespace AND relname IN (%s) AND NOT EXISTS (SELECT FROM pg_index WHERE indrelid = c.oid AND indisprimary)"
                       % ", ".join("'%s'" % t for t in self.scoped))
        self.assertEqual(without, [])

    def test_every_statement_of_the_store_is_understood(self):
        self.assertGreater(len(self.plans), 200)
        self.assertEqual([(self.statements[i][0], t.strip()) for i, t in self.plans.items() if not t.startswith("[")], [])

    def test_rows_are_written_with_their_part(self):
        wrong = []
        for name, text in self.statements:
            for table, columns in re.findall(r"\b(?:INSERT INTO|COPY)\s+(\w+)(?:\s+AS \w+)?\s*(\([^)]*\))?", text):
                whole_row = text.startswith("COPY") and not columns
                if table in self.scoped and not whole_row and not re.search(r"\bpart\b", columns):
                    wrong.append((name, table))
        self.assertEqual(wrong, [])

    def test_every_statement_stays_within_one_part(self):
        wrong, excused = [], set()
        for i, text in self.plans.items():
            name = self.statements[i][0]
            if not text.startswith("["):
                continue
            parts = set()
            for plan in (q["Plan"] for q in json.loads(text)):
                for table, alias, bound in scans(plan):
                    if table not in self.scoped:
                        continue
                    one = set(re.findall(r"\bpart = (\$\d+)(?:::\w+)?\)", bound))
                    parts |= one
                    if one:
                        continue
                    excused.add(name)
                    carries = re.search(r"\bpart = ", bound) or joined_by_part(plan, alias)
                    if name not in EVERYWHERE and not (name in BY_ROW and carries):
                        wrong.append("%s: %s is %s (%s)" % (name, table, "bound to many parts" if carries else "not bound to a part", bound.strip()[:120]))
            if len(parts) > 1 and name not in TWO_PARTS:
                wrong.append("%s: bound to several parts %s" % (name, sorted(parts)))
        self.assertEqual(wrong, [])
        self.assertEqual(set(BY_ROW) | set(EVERYWHERE), excused, "reasons that are not needed, or needed")


if __name__ == "__main__":
    unittest.main()
