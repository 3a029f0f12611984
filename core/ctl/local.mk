# SPDX-License-Identifier: Apache-2.0
# core/ctl/local.mk - campgwctl, its manual pages and its completion.
bin_PROGRAMS += core/ctl/campgwctl
core_ctl_campgwctl_SOURCES = \
	core/ctl/ctl.h core/ctl/ctl_local.h \
	core/ctl/ctl_main.c core/ctl/ctl_args.c core/ctl/ctl_commands.c core/ctl/ctl_http.c core/ctl/ctl_out.c core/ctl/ctl_util.c \
	core/ctl/ctl_campaign.c core/ctl/ctl_customer.c core/ctl/ctl_media.c core/ctl/ctl_people.c core/ctl/ctl_rules.c core/ctl/ctl_ops.c \
	core/ctl/ctl_cluster.c core/ctl/ctl_db.c core/ctl/ctl_doctor.c core/ctl/ctl_files.c core/ctl/ctl_setup.c core/ctl/ctl_tasks.c \
	core/ctl/ctl_partners.c core/ctl/ctl_routes.c core/ctl/ctl_things.c
core_ctl_campgwctl_CPPFLAGS = $(CORE_CPPFLAGS) -DCGW_EXAMPLESDIR='"$(pkgdatadir)/examples"'
core_ctl_campgwctl_LDADD = $(CORE_LIBS) $(LIBCURL_LIBS)

man_MANS += core/ctl/man/campgwd.8 core/ctl/man/campgwctl.1 core/ctl/man/campgw.conf.5 core/ctl/man/campgw-plugin.7 core/ctl/man/campgw-api.7
bashcompletiondir = $(datadir)/bash-completion/completions
dist_bashcompletion_DATA = core/ctl/completion/campgwctl
zshcompletiondir = $(datadir)/zsh/site-functions
dist_zshcompletion_DATA = core/ctl/completion/_campgwctl
EXTRA_DIST += core/ctl/README.md $(man_MANS)
