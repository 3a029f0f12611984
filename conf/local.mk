# SPDX-License-Identifier: Apache-2.0
# conf/local.mk - examples under $(pkgdatadir), service files with the paths of this installation. Nothing is installed into
# $(sysconfdir): `campgwctl setup` puts files there and never overwrites one.
examplesdir = $(pkgdatadir)/examples
dist_examples_DATA = conf/campgw.conf conf/optout.conf conf/postgresql-campgw.conf conf/prometheus-alerts.yml conf/grafana-dashboard.json
holidaysdir = $(examplesdir)/holidays
dist_holidays_DATA = conf/holidays/cn-2026.ics conf/holidays/README.md

cgw_service_files = conf/installed/campgwd.service conf/installed/sysusers/campgw.conf conf/installed/tmpfiles/campgw.conf
systemdunitdir = $(prefix)/lib/systemd/system
nodist_systemdunit_DATA = conf/installed/campgwd.service
sysusersdir = $(prefix)/lib/sysusers.d
nodist_sysusers_DATA = conf/installed/sysusers/campgw.conf
tmpfilesdir = $(prefix)/lib/tmpfiles.d
nodist_tmpfiles_DATA = conf/installed/tmpfiles/campgw.conf

# what stands in the source is what a distribution installs under /usr
CGW_PATHS = $(SED) -e 's|/usr/sbin/|$(sbindir)/|g' -e 's|/etc/campgw|$(cgwconfdir)|g'
conf/installed/campgwd.service: conf/campgwd.service
	$(AM_V_GEN)$(MKDIR_P) $(@D) && $(CGW_PATHS) $(srcdir)/conf/campgwd.service > $@.tmp && mv $@.tmp $@
conf/installed/sysusers/campgw.conf: conf/campgw.sysusers
	$(AM_V_GEN)$(MKDIR_P) $(@D) && $(CGW_PATHS) $(srcdir)/conf/campgw.sysusers > $@.tmp && mv $@.tmp $@
conf/installed/tmpfiles/campgw.conf: conf/campgw.tmpfiles
	$(AM_V_GEN)$(MKDIR_P) $(@D) && $(CGW_PATHS) $(srcdir)/conf/campgw.tmpfiles > $@.tmp && mv $@.tmp $@
CLEANFILES += $(cgw_service_files)
EXTRA_DIST += conf/README.md conf/campgwd.service conf/campgw.sysusers conf/campgw.tmpfiles
