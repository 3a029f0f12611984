# SPDX-License-Identifier: Apache-2.0
# scripts/local.mk - what ships of scripts/, and `make lint`.
EXTRA_DIST += scripts/README.md scripts/bench scripts/bootstrap scripts/check-layers.sh scripts/format.sh scripts/lint.sh scripts/quickstart \
	scripts/test scripts/lib .ci/run

# clang-tidy and cppcheck over everything that is installed; findings fail. One file: make lint LINT_CORE=core/base/buf.c LINT_SMPP=
LINT_CORE = $(core_libcgwcore_a_SOURCES) $(campgwd_SOURCES) $(campgw_plugin_host_SOURCES) $(campgw_plugin_check_SOURCES) $(core_ctl_campgwctl_SOURCES) \
	$(plugins_channel_loopback_channel_loopback_la_SOURCES) $(plugins_campaign_broadcast_campaign_broadcast_la_SOURCES) \
	$(plugins_channel_task_channel_task_la_SOURCES)
LINT_SMPP = $(plugins_channel_smpp_channel_smpp_la_SOURCES)
LINT_MMS = $(plugins_channel_mms_channel_mms_la_SOURCES)
LINT_IVR = $(plugins_channel_ivr_channel_ivr_la_SOURCES)
LINT_EMAIL = $(plugins_channel_email_channel_email_la_SOURCES)
LINT_FLAGS = $(DEFS) -std=gnu11 -Wall -Wextra
lint: lint-tidy lint-cppcheck
# every list is read, whatever the one before had
lint-tidy:
	@bad=; lint() { $(SHELL) $(srcdir)/scripts/lint.sh '$(CLANG_TIDY)' $(srcdir) "$$@" || bad=1; }; \
	lint $(LINT_CORE) -- $(LINT_FLAGS) $(CORE_CPPFLAGS) -DCGW_EXAMPLESDIR='"$(pkgdatadir)/examples"'; \
	lint $(LINT_SMPP) -- $(LINT_FLAGS) $(plugins_channel_smpp_channel_smpp_la_CPPFLAGS); \
	lint $(LINT_MMS) -- $(LINT_FLAGS) $(plugins_channel_mms_channel_mms_la_CPPFLAGS); \
	lint $(LINT_IVR) -- $(LINT_FLAGS) $(plugins_channel_ivr_channel_ivr_la_CPPFLAGS); \
	lint $(LINT_EMAIL) -- $(LINT_FLAGS) $(plugins_channel_email_channel_email_la_CPPFLAGS); \
	[ -z "$$bad" ]
# System headers are not read: cppcheck knows libc. `portability` is left out: it is about functions that are not reentrant
# elsewhere (readdir, getpwnam)
lint-cppcheck:
	cd $(srcdir) && $(CPPCHECK) -j "$$(nproc)" --quiet --std=c11 --enable=warning,performance --inline-suppr --error-exitcode=1 \
		--suppress=missingInclude --library=posix --library=gnu -D__cppcheck__ -D_GNU_SOURCE '-DElfW(x)=Elf64_##x' -Icore -Icore/include core plugins
.PHONY: lint lint-tidy lint-cppcheck
