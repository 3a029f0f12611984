#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_sandbox.py - campgwd --sandbox: simulators on this machine only. It is tried to get out: by an instance with a peer elsewhere, by
a route to what is no simulator, with the database of a real installation, by a plugin that lies about its peer.
"""
import json
import os
import subprocess
import unittest

import harness
import stack


class Sandbox(harness.Field):
    def config_says(self, instances, **more):
        """Exit code and words of --sandbox --check-config with these instances."""
        path = os.path.join(self.dir, "try.conf")
        stack.write_file(path, stack.conf_text({**self.settings, **more, "instances": instances}), self.gateway.cluster.who, 0o600)
        done = subprocess.run(self.gateway.cluster.prefix + [self.programs.daemon, "--sandbox", "--check-config", "-c", path], capture_output=True, text=True, timeout=60, check=False)
        return done.returncode, done.stderr

    def test_only_simulators_are_let_in(self):
        smpp = next(i for i in self.settings["instances"] if i["plugin"] == "channel_smpp")
        self.assertEqual(self.config_says([smpp])[0], 0)
        for host in ("::1", "localhost", "127.1.2.3"):
            self.assertEqual(self.config_says([{**smpp, "host": host}])[0], 0, host)
        for host in ("192.0.2.1", "smsc.example.com", "2001:db8::1", "0.0.0.0", "localhost.example.com", "127.0.0.1.example.com", "::ffff:192.0.2.1"):
            code, says = self.config_says([smpp, {**smpp, "name": "away", "host": host}])
            self.assertNotEqual(code, 0, host)
            self.assertIn("sandbox", says)
            self.assertIn("away", says)
            self.assertRegex(says, r"try\.conf:[0-9]+")
        self.assertEqual(self.config_says([{"name": "lb", "plugin": "channel_loopback"}])[0], 0)

    def test_the_daemon_runs_says_so_and_nothing_leaves(self):
        refused = self.log().count("sandbox.refused")
        self.gateway.stop()
        self.gateway.start("--sandbox")
        self.addCleanup(self.restart)
        local = self.gateway.local()
        answer = local.ask("GET", "/api/v1/system")
        self.assertEqual((answer.json["sandbox"], answer.headers["X-Campgw-Sandbox"]), (True, "1"))
        self.assertIn("SANDBOX", answer.json["banner"])
        for path in ("/health", "/nope", "/api/v1/routes", "/metrics", "/openapi.json"):
            self.assertEqual(local.ask("GET", path).headers["X-Campgw-Sandbox"], "1", path)
        # a campaign goes to the simulator
        self.api.port = self.gateway.port
        people = self.people(20)
        self.consent(people)
        before = self.sim.stats()["messages"]["unique"]
        self.complete(self.campaign(people))
        self.assertEqual(self.sim.stats()["messages"]["unique"] - before, 20)
        # a route to an instance that is none of the sandbox's is refused
        bad = self.api.ask("POST", "/api/v1/routes", {"name": "out", "channel": "sms", "instance": "elsewhere"})
        self.assertEqual((bad.status, bad.json["errors"][0]["code"]), (422, "unknown_instance"))
        self.assertEqual(self.log().count("sandbox.refused"), refused)

    def test_the_database_of_a_real_installation_is_refused(self):
        self.gateway.stop()
        self.rows("INSERT INTO route (public_id, name, channel, instance) VALUES ('rte_real', 'real', 1, 'real-smsc')")
        self.gateway.launch("--sandbox")
        self.assertTrue(self.gateway.process.wait_gone(30), "it runs")
        self.assertIn("real-smsc", self.log())
        self.rows("DELETE FROM route WHERE public_id = 'rte_real'")
        self.restart()

    def test_without_the_switch_nothing_is_said(self):
        answer = self.gateway.local().ask("GET", "/api/v1/system")
        self.assertEqual((answer.json["sandbox"], answer.json["banner"], answer.headers["X-Campgw-Sandbox"]), (False, "", None))

    def test_a_plugin_that_lies_about_its_peer_does_not_get_out(self):
        self.lies("none")

    def test_nor_does_it_from_a_process_of_its_own(self):
        self.lies("process")

    def lies(self, isolation):
        """The plugin `escape` connects and sends to 192.0.2.1 (TEST-NET-1) whatever its options say, and tells what came of it as health."""
        plugin = os.path.join(self.programs.build, "tests/fixtures/plugins/.libs/escape.so")
        self.assertTrue(os.path.exists(plugin), plugin)
        self.gateway.stop()
        where = os.path.join(self.dir, "plugins")
        os.makedirs(where, exist_ok=True)
        for name in os.listdir(self.programs.plugins):
            if name.endswith(".so"):
                self.link(os.path.join(self.programs.plugins, name), os.path.join(where, name))
        self.link(plugin, os.path.join(where, "escape.so"))
        refused = self.log().count("sandbox.refused")
        settings = {**self.settings, "plugins": {**self.settings.get("plugins", {}), "directory": where},
                    "instances": self.settings["instances"] + [{"name": "liar", "plugin": "escape", "host": "127.0.0.1", "isolation": isolation}]}
        self.gateway.configure(settings)
        self.gateway.start("--sandbox")
        self.addCleanup(self.restart)
        self.addCleanup(self.gateway.configure, self.settings)
        channels = self.gateway.local().ask("GET", "/api/v1/channels").body.decode()
        for call in ("connect", "sendto", "sendmsg", "sendmmsg"):
            self.assertIn(call + " EACCES", channels)
        self.assertIn("local 0", channels)
        self.assertEqual(next(c for c in json.loads(channels)["data"] if c["name"] == "liar")["isolation"], isolation)
        self.assertEqual(self.log().count("sandbox.refused") - refused, 4)

    @staticmethod
    def link(source, name):
        if not os.path.exists(name):
            os.symlink(source, name)


if __name__ == "__main__":
    unittest.main()
