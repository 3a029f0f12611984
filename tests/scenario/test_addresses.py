# SPDX-License-Identifier: Apache-2.0
"""test_addresses.py - one customer with a number and an e-mail address: one cap and one do-not-disturb state, whatever the channel.

The mail wave goes to the SMPP instance on purpose: whom the rules would let through is held by address.invalid there, so that each verdict can
be told apart.
"""
import unittest

import harness

CAP = 2


class OneCustomer(harness.Field):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.api.post("/api/v1/caps", {"name": "two a month", "max": CAP, "period": "month", "zone": "UTC", "classes": ["marketing"]})
        cls.cluster.sql("INSERT INTO route (public_id, name, channel, instance) VALUES ('rte_mail', 'mail', 4, 'smsc')")

    def upload(self, rows, **more):
        aud = self.api.post("/api/v1/audiences", {"name": "several addresses", "channels": ["sms", "email"]})["id"]
        done = self.api.call("PUT", "/api/v1/audiences/%s/recipients" % aud, body=("msisdn,email,code\n" + "".join("%s,%s,%d\n" % r for r in rows)).encode(), media="text/csv")
        self.assertEqual(done["accepted"], len(rows), done)
        return aud

    def mail(self, people):
        return "p%d@example.com" % people.code

    def by_mail(self, aud):
        """A campaign of that audience on the mail channel, to its end; its funnel."""
        self.api.call("PUT", "/api/v1/dispatch", {"state": "paused"})
        cmp = self.campaign(None, audience=aud)
        self.cluster.sql("UPDATE wave SET channel = 4 WHERE campaign_id = (SELECT campaign_id FROM campaign WHERE public_id = '%s')" % cmp)
        self.api.call("PUT", "/api/v1/dispatch", {"state": "running"})
        return self.complete(cmp)

    def test_reached_twice_by_sms_is_over_the_cap_by_mail_too(self):
        reached, fresh, numbers_only = self.people(5), self.people(4), self.people(3)
        self.consent(reached + fresh + numbers_only)
        self.upload([(p.msisdn, self.mail(p), p.code) for p in reached])
        for i in range(CAP):
            self.assertEqual(self.complete(self.campaign(reached, text="no %d {{code}}" % i))["submitted"], len(reached))
        # mail addresses alone, number and address, number alone
        aud = self.upload([("", self.mail(p), p.code) for p in reached] + [(p.msisdn, self.mail(p), p.code) for p in fresh] + [(p.msisdn, "", p.code) for p in numbers_only])
        self.assertEqual(self.by_mail(aud)["held"], {"cap.period": len(reached), "address.invalid": len(fresh), "address.none": len(numbers_only)})
        for p in reached:
            said = self.api.post("/api/v1/decisions", {"email": self.mail(p), "channel": "email", "class": "marketing", "purpose": "marketing"})
            self.assertEqual((said["verdict"], said["reason"]), ("DENY", "cap.period"))
        self.seals_verify()

    def test_a_list_entry_by_mail_holds_sms_and_one_channel_holds_only_itself(self):
        everywhere, mail_only = self.people(3), self.people(3)
        people = everywhere + mail_only
        self.consent(people)
        aud = self.upload([(p.msisdn, self.mail(p), p.code) for p in people])
        for name, members, who in (("all", {"scope": "all"}, everywhere), ("mail", {"channel": "email"}, mail_only)):
            lst = self.api.post("/api/v1/dnd-lists", {"name": name, **members})["id"]
            self.api.post("/api/v1/dnd-lists/%s/entries" % lst, {"entries": [{"email": self.mail(p)} for p in who]})
        self.assertEqual(self.by_mail(aud)["held"], {"dnd.list": len(people)})
        funnel = self.complete(self.campaign(None, audience=aud))
        self.assertEqual((funnel["held"], funnel["submitted"]), ({"dnd.list": len(everywhere)}, len(mail_only)))

    def test_a_bounce_holds_its_channel_and_says_so(self):
        (p,) = self.people(1)
        self.consent([p])
        self.upload([(p.msisdn, self.mail(p), p.code)])
        self.cluster.sql("INSERT INTO dnd (part, customer_id, scope, list_id, reason) SELECT part, customer_id, 1004, 3, 3 FROM recipient WHERE email = '%s'" % self.mail(p))
        by_mail, by_sms = self.verdict(p, channel="email"), self.verdict(p)
        self.assertEqual((by_mail["verdict"], by_mail["reason"], by_mail["rule"], by_sms["verdict"]), ("DENY", "dnd.bounce", "dnd_bounces", "ALLOW"))

    def test_joining_holds_what_was_uploaded_under_the_id_that_ended(self):
        a, b = self.people(2)
        self.consent([a, b])
        aud = self.audience([a, b])
        self.api.post("/api/v1/customers/%s/link" % self.verdict(a)["customer"], {"msisdn": b.msisdn})
        funnel = self.complete(self.campaign(None, audience=aud))
        self.assertEqual((funnel["held"], funnel["submitted"]), ({"customer.linked": 1}, 1))
        self.assertEqual({m.dest for m in self.sim.messages() if m.taken and m.dest in (a.dest, b.dest)}, {a.dest})
        self.assertEqual(self.verdict(b)["customer"], self.verdict(a)["customer"])


if __name__ == "__main__":
    unittest.main()
