/* SPDX-License-Identifier: Apache-2.0 */
/* test_api_access.c - who may call the callback listener: Basic authentication and networks; and
 * the matching of paths. */
#include "api/api_int.h"
#include "api/callback_int.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <string.h>

static bool allowed(const char *address, const char *network)
{
    const char *const allow[] = {"203.0.113.7", network, NULL};
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    if (inet_pton(AF_INET, address, &v4.sin_addr) == 1)
        return callback_cidr_ok((struct sockaddr *)&v4, allow);
    cr_assert_eq(inet_pton(AF_INET6, address, &v6.sin6_addr), 1);
    return callback_cidr_ok((struct sockaddr *)&v6, allow);
}

Test(api_access, networks_match_by_prefix)
{
    static const struct {
        const char *address, *network;
        bool ok;
    } cases[] = {
        {"10.1.2.3", "10.1.0.0/16", true},
        {"10.2.0.0", "10.1.0.0/16", false},
        {"10.1.2.3", "10.1.2.3", true},
        {"10.1.2.3", "10.1.2.2/31", true},
        {"10.1.2.3", "10.1.2.4/30", false},
        {"10.1.2.3", "0.0.0.0/0", true},
        {"10.1.2.3", "::/0", false},
        {"2001:db8::1", "2001:db8::/32", true},
        {"2001:db9::1", "2001:db8::/32", false},
        {"2001:db8::1", "2001:db8::1/128", true},
        {"::ffff:10.1.2.3", "10.1.0.0/16", true},
        {"10.1.2.3", "10.1.0.0/33", false},
        {"10.1.2.3", "10.1.0.0/", false},
        {"10.1.2.3", "10.1.0.0/-1", false},
        {"10.1.2.3", "10.1.0.0/8x", false},
        {"10.1.2.3", "", false},
        {"10.1.2.3", "example.org", false},
        {"203.0.113.7", "10.0.0.0/8", true},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        cr_expect_eq(allowed(cases[i].address, cases[i].network), cases[i].ok, "%s in %s",
                     cases[i].address, cases[i].network);
    cr_expect_not(callback_cidr_ok(NULL, (const char *const[]){"0.0.0.0/0", NULL}));
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    cr_expect_not(callback_cidr_ok((struct sockaddr *)&v4, NULL));
}

Test(api_access, nothing_configured_means_nobody)
{
    cr_expect(callback_basic_ok("Basic cGVlcjpzZWNyZXQ=", "peer", "secret"));
    cr_expect(callback_basic_ok("basic cGVlcjpzZWNyZXQ=", "peer", "secret"));
    cr_expect_not(callback_basic_ok("Basic cGVlcjpzZWNyZXQ=", "peer", NULL));
    cr_expect_not(callback_basic_ok("Basic cGVlcjpzZWNyZXQ=", NULL, "secret"));
    cr_expect_not(callback_basic_ok("Basic cGVlcjpzZWNyZXQ=", "peer", "secreT"));
    cr_expect_not(callback_basic_ok("Basic !", "peer", "secret"));
    cr_expect_not(callback_basic_ok("Bearer cGVlcjpzZWNyZXQ=", "peer", "secret"));
    cr_expect_not(callback_basic_ok(NULL, "peer", "secret"));
}

static int never(struct api_request *req, struct api_response *resp)
{
    (void)req;
    return api_ok(resp);
}

static const struct api_route routes_a[] = {
    {.method = "GET", .path = "/a/{id}", .handler = never, .summary = "s"},
    {.method = "POST", .path = "/a/{id}/go", .handler = never, .summary = "s"},
    {.method = "DELETE", .path = "/a/{id}", .handler = never, .summary = "s"},
    {.method = NULL},
};
const struct api_route *const api_route_tables[] = {routes_a, NULL};

Test(api_access, paths_match_whole_segments)
{
    struct api_path_value v[API_PATH_PARAMS_MAX];
    char allow[80], longest[200] = "/a/";
    unsigned n;
    cr_expect_eq(route_find("GET", "/a/x_1.b-C", v, &n, allow, sizeof allow), &routes_a[0]);
    cr_expect_eq(n, 1);
    cr_expect_str_eq(v[0].name, "id");
    cr_expect_str_eq(v[0].value, "x_1.b-C");
    cr_expect_eq(route_find("HEAD", "/a/x", v, &n, allow, sizeof allow), &routes_a[0]);
    cr_expect_null(route_find("PUT", "/a/x", v, &n, allow, sizeof allow));
    cr_expect_str_eq(allow, "GET, DELETE");
    static const char *const missing[] = {"/a",     "/a/",    "/a/x/", "/a/x/g", "/a/x/go/",
                                          "/a/x y", "/a/x;y", "/b/x",  "/"};
    for (size_t i = 0; i < ARRAY_LEN(missing); i++) {
        cr_expect_null(route_find("GET", missing[i], v, &n, allow, sizeof allow), "%s", missing[i]);
        cr_expect_str_eq(allow, "", "%s", missing[i]);
    }
    memset(longest + 3, 'x', 129);
    longest[132] = 0;
    cr_expect_null(route_find("GET", longest, v, &n, allow, sizeof allow));
    longest[131] = 0;
    cr_expect_not_null(route_find("GET", longest, v, &n, allow, sizeof allow));
}

Test(api_access, every_scope_has_help_and_one_bit)
{
    for (int i = 0; api_scope_word(i); i++) {
        cr_expect_eq(api_scope_bit(api_scope_word(i)), i);
        cr_expect_gt(strlen(api_scope_help(i)), 5);
    }
    cr_expect_eq(api_scope_bit("no:such"), -1);
    cr_expect_null(api_scope_word(-1));
}
