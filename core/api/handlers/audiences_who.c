/* SPDX-License-Identifier: Apache-2.0 */
/* audiences_who.c - see audiences_who.h. A row's customer is the one of its own id, else of its
 * number, else of its e-mail address; all that it names must be one person. No SQL here. */
#include "api/handlers/audiences_who.h"

#include "store/store_customer.h"

#include <errno.h>
#include <string.h>

static void refuse(struct who_row *r, const char *column, const char *code, const char *why)
{
    if (r->refused)
        return;
    r->refused = code;
    r->column = column;
    r->why = why;
}

/* What a customer row adds; only the owner may learn addresses from it. NULL afterwards = no
 * memory. */
static void fill(struct who *w, struct who_row *r, const struct store_person *p)
{
    const struct {
        const char **to, *from;
        bool owner;
    } all[] = {{&r->zone, p->zone, false},
               {&r->region, p->region, false},
               {&r->lang, p->lang, false},
               {&r->msisdn, p->msisdn, true},
               {&r->email, p->email, true}};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        if (*all[i].to && !(*all[i].to)[0] && all[i].from[0] &&
            !(all[i].owner && w->req->scope.partner_id))
            *all[i].to = arena_dup(w->texts, all[i].from, strlen(all[i].from));
}

static void found_external(void *ctx, size_t i, const struct store_person *p)
{
    struct who *w = ctx;
    struct who_row *r = &w->rows[w->row_of[i]];
    if (r->by_external && r->by_external != p->customer_id) {
        refuse(r, "customer", "customer_ambiguous",
               "More than one customer carries this id; give the person's number or e-mail "
               "address instead.");
        return;
    }
    r->by_external = p->customer_id;
    fill(w, r, p);
}

static void found_number(void *ctx, size_t i, const struct store_person *p)
{
    struct who *w = ctx;
    w->rows[w->row_of[i]].by_number = p->customer_id;
    fill(w, &w->rows[w->row_of[i]], p);
}

static void found_email(void *ctx, size_t i, const struct store_person *p)
{
    struct who *w = ctx;
    w->rows[w->row_of[i]].by_email = p->customer_id;
    fill(w, &w->rows[w->row_of[i]], p);
}

static int ask_external(struct who *w, struct diag *diag)
{
    w->n_asked = 0;
    for (size_t i = 0; w->look_up && i < w->n; i++)
        if (w->rows[i].external[0]) {
            w->texts_of[w->n_asked] = w->rows[i].external;
            w->row_of[w->n_asked++] = i;
        }
    return w->n_asked
               ? store_people_external(w->req->db, w->texts_of, w->n_asked, found_external, w, diag)
               : 0;
}

/* The ids of all numbers, or of all e-mail addresses. */
static int ask_addresses(struct who *w, bool emails, struct diag *diag)
{
    w->n_asked = 0;
    for (size_t i = 0; i < w->n; i++) {
        struct who_row *r = &w->rows[i];
        const char *text = emails ? r->email : r->msisdn;
        if (!text[0])
            continue;
        size_t k = w->n_asked++;
        int rc = people_keys(w->req, text, &w->keys[k], w->look_up ? &w->alts[k] : NULL, diag);
        if (rc < 0)
            return rc;
        w->texts_of[k] = text;
        w->row_of[k] = i;
        *(emails ? &r->by_email : &r->by_number) = w->keys[k];
    }
    return w->look_up && w->n_asked
               ? store_people_find(w->req->db, w->keys, w->alts, w->texts_of, w->n_asked,
                                   emails ? found_email : found_number, w, diag)
               : 0;
}

static void pair(struct who *w, size_t row, int64_t other)
{
    if (!other || other == w->rows[row].customer_id)
        return;
    w->keys[w->n_asked] = w->rows[row].customer_id;
    w->alts[w->n_asked] = other;
    w->row_of[w->n_asked++] = row;
}

/* Rows that name a person in more than one way. */
static int join_pairs(struct who *w, struct diag *diag)
{
    bool mail = true;
    w->n_asked = 0;
    for (size_t i = 0; i < w->n; i++) {
        struct who_row *r = &w->rows[i];
        r->customer_id = r->by_external ? r->by_external
                         : r->by_number ? r->by_number
                                        : r->by_email;
        if (r->refused)
            continue;
        pair(w, i, r->by_number);
        mail = mail && (!r->by_number || r->by_number == r->customer_id);
        pair(w, i, r->by_email);
    }
    if (!w->n_asked)
        return 0;
    int rc = store_people_pair(w->req->db, w->keys, w->alts, w->n_asked, mail, w->ids, diag);
    for (size_t k = 0; rc == 0 && k < w->n_asked; k++) {
        struct who_row *r = &w->rows[w->row_of[k]];
        if (w->ids[k])
            r->customer_id = w->ids[k];
        else
            refuse(r, "", "address_conflict",
                   "The row names two customers; join them with POST /api/v1/customers/{id}/link, "
                   "or correct the row.");
    }
    w->look_up = true; /* there are aliases now */
    return rc;
}

int who_resolve(struct who *w, struct diag *diag)
{
    int rc = ask_external(w, diag);
    if (rc == 0)
        rc = ask_addresses(w, false, diag);
    if (rc == 0)
        rc = ask_addresses(w, true, diag);
    if (rc == 0)
        rc = join_pairs(w, diag);
    for (size_t i = 0; rc == 0 && i < w->n; i++) {
        struct who_row *r = &w->rows[i];
        if (!r->zone || !r->region || !r->lang || !r->msisdn || !r->email)
            return diag_set(diag, -ENOMEM, "", "out of memory");
        if (!r->customer_id)
            refuse(r, "customer", "customer_unknown",
                   "No customer carries this id; create it with PUT /api/v1/customers, or give the "
                   "person's number or e-mail address.");
        if (w->need_number && !r->msisdn[0])
            refuse(r, "msisdn", "msisdn_required",
                   "The row has no number, which this upload needs.");
        if (w->need_email && !r->email[0])
            refuse(r, "email", "email_required",
                   "The row has no e-mail address, which this upload needs.");
    }
    return rc;
}
