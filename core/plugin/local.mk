core_libcgwcore_a_SOURCES += \
	core/plugin/campaign.c core/plugin/campaign.h \
	core/plugin/conf.c core/plugin/conf.h core/plugin/conf_int.h core/plugin/conf_isolation.c core/plugin/conf_value.c \
	core/plugin/descriptor.c core/plugin/descriptor.h \
	core/plugin/frame.c core/plugin/frame.h core/plugin/frame_items.c core/plugin/frame_items.h \
	core/plugin/frame_plugin.c core/plugin/frame_plugin.h \
	core/plugin/host.h core/plugin/host_int.h core/plugin/host_table.c \
	core/plugin/instance.c core/plugin/instance_health.c core/plugin/instance_asks.c core/plugin/instance_mail.c core/plugin/instance_settle.c core/plugin/instance_submit.c \
	core/plugin/isolate.c core/plugin/isolate.h core/plugin/isolate_check.c core/plugin/isolate_describe.c core/plugin/isolate_int.h \
	core/plugin/isolate_ops.c core/plugin/isolate_out.c core/plugin/isolate_spawn.c core/plugin/isolate_take.c \
	core/plugin/loader.c core/plugin/loader.h \
	core/plugin/loop.c core/plugin/loop.h \
	core/plugin/registry.c core/plugin/registry.h \
	core/plugin/sandbox.c core/plugin/sandbox.h \
	core/plugin/tokens.c core/plugin/tokens.h

# The process of an isolated instance: the same host, loader and address rules; no database, no HTTP.
pkglibexec_PROGRAMS += campgw-plugin-host
campgw_plugin_host_SOURCES = core/plugin_host.c core/netguard.c core/netguard.h \
	core/plugin/confine.c core/plugin/confine.h core/plugin/confine_calls.c core/plugin/confine_files.c \
	core/plugin/inside.h core/plugin/inside_link.c core/plugin/inside_rpc.c core/plugin/inside_take.c
campgw_plugin_host_CPPFLAGS = $(CORE_CPPFLAGS) $(LIBSECCOMP_CFLAGS)
campgw_plugin_host_LDADD = core/libcgwcore.a $(LIBCONFIG_LIBS) $(LIBSODIUM_LIBS) $(LIBCRYPTO_LIBS) $(PHONENUMBER_LIBS) $(LIBSECCOMP_LIBS) -lstdc++

# The checker: host and loader of the gateway, the template engine of core/content, no database.
bin_PROGRAMS += campgw-plugin-check
campgw_plugin_check_SOURCES = \
	core/ctl/plugin_check.c core/ctl/plugin_check.h core/ctl/plugin_check_report.c core/ctl/plugin_check_figures.c \
	core/ctl/plugin_check_campaign.c core/ctl/plugin_check_campaign.h core/ctl/plugin_check_campaign_fault.c \
	core/ctl/plugin_check_core.c core/ctl/plugin_check_core.h core/ctl/plugin_check_channel.c core/ctl/plugin_check_content.c \
	core/ctl/plugin_check_fault.c core/ctl/plugin_check_shape.c \
	core/ctl/plugin_check_sabotage.c core/ctl/plugin_check_sabotage.h core/ctl/plugin_check_memory.c
campgw_plugin_check_CPPFLAGS = $(CORE_CPPFLAGS)
campgw_plugin_check_LDADD = $(CORE_LIBS)

# Out-of-tree projects: shipped as they are, built by `make installcheck` against the installed headers.
EXTRA_DIST += plugins/README.md \
	plugins/template_channel/configure.ac plugins/template_channel/Makefile.am plugins/template_channel/README.md \
	plugins/template_channel/channel_acme.c \
	plugins/template_campaign/configure.ac plugins/template_campaign/Makefile.am plugins/template_campaign/README.md \
	plugins/template_campaign/campaign_acme.c
