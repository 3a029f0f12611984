# Contract tests of loader, options, host and checker; TAP (AM_TAP driver or plain exit status), no database.
check_PROGRAMS += tests/contract/plugin_refusals tests/contract/plugin_conf tests/contract/plugin_host \
	tests/contract/plugin_isolated
tests_contract_plugin_refusals_CPPFLAGS = $(CORE_CPPFLAGS)
tests_contract_plugin_refusals_SOURCES = tests/contract/plugin_refusals.c
tests_contract_plugin_refusals_LDADD = $(CORE_LIBS)
tests_contract_plugin_conf_CPPFLAGS = $(CORE_CPPFLAGS)
tests_contract_plugin_conf_SOURCES = tests/contract/plugin_conf.c
tests_contract_plugin_conf_LDADD = $(tests_contract_plugin_refusals_LDADD)
tests_contract_plugin_host_CPPFLAGS = $(CORE_CPPFLAGS)
tests_contract_plugin_host_SOURCES = tests/contract/plugin_host.c
tests_contract_plugin_host_LDADD = $(tests_contract_plugin_refusals_LDADD)
tests_contract_plugin_isolated_CPPFLAGS = $(CORE_CPPFLAGS)
tests_contract_plugin_isolated_SOURCES = tests/contract/plugin_isolated.c
tests_contract_plugin_isolated_LDADD = $(tests_contract_plugin_refusals_LDADD)

# One script runs them all, since each needs to be told where libtool left the plugins:
#   tests/contract/plugin_refusals tests/fixtures/plugins/.libs
#   tests/contract/plugin_conf plugins/channel_loopback/.libs/channel_loopback.so
#   tests/contract/plugin_host plugins/channel_loopback/.libs/channel_loopback.so tests/fixtures/plugins/.libs/rogue.so
#   tests/contract/plugin_check_verdicts.sh ./campgw-plugin-check tests/fixtures/plugins/.libs \
#       plugins/channel_loopback/.libs plugins/campaign_broadcast/.libs
TESTS += tests/contract/plugin_all.sh tests/contract/plugin_own.sh
EXTRA_DIST += tests/contract/plugin_all.sh tests/contract/plugin_own.sh tests/contract/plugin_check_verdicts.sh
