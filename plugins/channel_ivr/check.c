/* SPDX-License-Identifier: Apache-2.0 */
/* check.c - can this be called, and does its flow make sense? Pure; any thread. */
#include "instance.h"

#include <stdio.h>
#include <string.h>

static void bad(struct cgw_check *ret, int32_t code, const char *text)
{
    ret->code = code;
    (void)snprintf(ret->text, sizeof ret->text, "%s", text);
}

/* "+" and 8 to 15 digits, or a SIP URI that fits into a header. */
static bool person_ok(const struct cgw_address *a)
{
    if (a->kind == CGW_ADDR_SIP)
        return a->len < 256 && strncmp(a->text, "sip:", 4) == 0 && ivr_caller_ok(a->text);
    return a->kind == CGW_ADDR_E164 && a->len >= 9 && a->len <= 16 && a->text[0] == '+' &&
           strspn(a->text + 1, "0123456789") == a->len - 1;
}

static bool sender_ok(const struct cgw_address *a)
{
    if (a->kind == 0)
        return true;
    return (a->kind == CGW_ADDR_E164 || a->kind == CGW_ADDR_SHORTCODE || a->kind == CGW_ADDR_SIP) &&
           a->len < 128 && ivr_caller_ok(a->text);
}

static bool media_ok(const struct cgw_part *p, struct cgw_check *ret)
{
    if (!p->name || !*p->name)
        bad(ret, CGW_EINVAL, "a media part needs a name, so that the flow can say \"play\".");
    else if (!p->mime || strncmp(p->mime, "audio/", 6) != 0)
        bad(ret, CGW_EINVAL, "a media part of a call is sound: audio/wav.");
    return ret->code == CGW_OK;
}

static void check_flow(const struct cgw_message *m, struct cgw_check *ret)
{
    const char *names[CGW_PARTS_MAX];
    const struct cgw_part *flow = NULL;
    uint32_t n = 0;
    for (uint32_t i = 0; i < m->n_parts && i < CGW_PARTS_MAX; i++) {
        const struct cgw_part *p = &m->parts[i];
        if (p->role == CGW_ROLE_FLOW && !flow) {
            flow = p;
        } else if (p->role == CGW_ROLE_MEDIA) {
            if (!media_ok(p, ret))
                return;
            names[n++] = p->name;
        } else {
            bad(ret, CGW_EINVAL, "a call is made of one FLOW part and MEDIA parts; nothing else.");
            return;
        }
    }
    if (!flow) {
        bad(ret, CGW_EINVAL, "a call needs a FLOW part: what is said and asked.");
        return;
    }
    struct ivr_flow_error err;
    struct ivr_flow *f = ivr_flow_parse(flow->body ? flow->body : "", flow->len, names, n, &err);
    if (!f)
        bad(ret, flow->len > IVR_FLOW_BYTES ? CGW_ELIMIT : CGW_EINVAL, err.text);
    ivr_flow_free(f);
}

void ivr_op_check(void *arg, const struct cgw_message *msgs, uint32_t n, struct cgw_check *ret)
{
    (void)arg;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t size = ret[i].size;
        ret[i] = (struct cgw_check){.size = size, .segments = 1, .encoding = "g711"};
        if (!person_ok(&msgs[i].to))
            bad(&ret[i], CGW_EINVAL,
                "the person needs a number (+ and 8 to 15 digits) or sip: URI.");
        else if (!sender_ok(&msgs[i].from))
            bad(&ret[i], CGW_EINVAL, "the caller must be a number, a short code or a sip: URI.");
        else
            check_flow(&msgs[i], &ret[i]);
        if (ret[i].code != CGW_OK)
            ret[i].segments = 0;
    }
}
