# SPDX-License-Identifier: Apache-2.0
"""test_ports.py - services of a private installation are given ports long before they listen: no two get the same one."""
import contextlib
import os
import shutil
import socket
import sys
import tempfile
import types
import unittest

import harness
import stack

sys.path.insert(0, os.path.join(harness.ROOT, "scripts/lib"))
import peers  # noqa: E402
import quickstart  # noqa: E402


def taken(port, kind=socket.SOCK_STREAM):
    """A socket there; another installation's does as well."""
    s = socket.socket(type=kind)
    with contextlib.suppress(OSError):
        s.bind(("127.0.0.1", port))
    return s


class Promises(unittest.TestCase):
    def setUp(self):
        self.base = stack.free_port(21000, holder=self.id())

    def test_what_is_promised_is_given_to_nobody_else_though_nothing_listens(self):
        first = stack.free_port(self.base, holder="api")
        second = stack.free_port(self.base, holder="callback")
        self.assertEqual(len({self.base, first, second}), 3)
        self.assertEqual([stack.free_port(self.base, holder="api"), stack.free_port(first, holder="api")], [first, first], "its holder gets it again")
        self.assertEqual(stack.free_port(first, socket.SOCK_DGRAM, "phones"), first, "UDP is another matter")
        some = [stack.free_port(self.base) for _ in range(20)]
        self.assertEqual(len({self.base, first, second, *some}), 23)

    def test_any_port_is_never_one_that_is_promised(self):
        given = [stack.free_port() for _ in range(300)]
        self.assertEqual(len(set(given)), 300)

    def test_a_holder_whose_port_was_taken_meanwhile_gets_another(self):
        port = stack.free_port(self.base, holder="moved")
        with taken(port):
            self.assertNotEqual(stack.free_port(port, holder="moved"), port)


class Quickstart(unittest.TestCase):
    def installation(self):
        q = object.__new__(quickstart.Quickstart)
        run = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, run)
        programs = types.SimpleNamespace(plugins=run, simulator=os.path.join(run, "smscsim"))
        q.gateway = types.SimpleNamespace(process=types.SimpleNamespace(pid=None), port_file=os.path.join(run, "api.port"), dir=os.path.join(run, "gw"))
        q.peers = peers.Peers(programs, run)
        return q

    def test_beside_another_installation_api_and_callback_listener_get_different_ports(self):
        with taken(8440), taken(8441):
            q = self.installation()
            ports = [q.peers._callback(q.gateway), q.api_port()]
            self.assertEqual(len(set(ports)), 2, ports)
            self.assertFalse(set(ports) & {8440, 8441}, ports)
            self.assertEqual([q.peers._callback(q.gateway), q.api_port()], ports, "asked again: the same")

    def test_the_port_the_callback_listener_had_before_is_not_given_to_the_api(self):
        with taken(8440):
            q = self.installation()
            before = stack.free_port(8441, holder=q.peers.port_file)
            stack.write_file(q.peers.port_file, "%d\n" % before)
            self.assertEqual(q.peers._callback(q.gateway), before)
            self.assertNotEqual(q.api_port(), before)


if __name__ == "__main__":
    unittest.main()
