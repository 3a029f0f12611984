# SPDX-License-Identifier: Apache-2.0
# core/api/local.mk - the OpenAPI fragments are linked into the program.
api_openapi_json = \
	core/api/openapi/base.json \
	core/api/openapi/api_keys.json \
	core/api/openapi/audiences.json \
	core/api/openapi/calendars.json \
	core/api/openapi/campaigns.json \
	core/api/openapi/caps.json \
	core/api/openapi/consents.json \
	core/api/openapi/contacts.json \
	core/api/openapi/customers.json \
	core/api/openapi/decisions.json \
	core/api/openapi/dnd.json \
	core/api/openapi/media.json \
	core/api/openapi/operations.json \
	core/api/openapi/responses.json \
	core/api/openapi/partners.json \
	core/api/openapi/routes.json \
	core/api/openapi/system.json \
	core/api/openapi/tasks.json
nodist_core_libcgwcore_a_SOURCES = core/api/openapi_files.c
core/api/openapi_files.c: $(api_openapi_json) scripts/embed.sh
	$(AM_V_GEN)$(MKDIR_P) core/api && $(SHELL) $(srcdir)/scripts/embed.sh api_openapi_files $(api_openapi_json:%=$(srcdir)/%) > $@.tmp && mv $@.tmp $@
CLEANFILES += core/api/openapi_files.c
EXTRA_DIST += scripts/embed.sh $(api_openapi_json)
