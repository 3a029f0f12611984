# SPDX-License-Identifier: Apache-2.0
# local.mk - channel_mms, for the non-recursive Makefile.am.
pkglib_LTLIBRARIES += plugins/channel_mms/channel_mms.la

plugins_channel_mms_channel_mms_la_SOURCES = \
	plugins/channel_mms/answer.c \
	plugins/channel_mms/body.c plugins/channel_mms/body.h \
	plugins/channel_mms/content.c plugins/channel_mms/content.h \
	plugins/channel_mms/dates.c \
	plugins/channel_mms/http.c plugins/channel_mms/http.h \
	plugins/channel_mms/inbound.c \
	plugins/channel_mms/instance.c plugins/channel_mms/instance.h \
	plugins/channel_mms/known.c plugins/channel_mms/known.h \
	plugins/channel_mms/media.c plugins/channel_mms/media.h \
	plugins/channel_mms/mime.c plugins/channel_mms/mime.h \
	plugins/channel_mms/mm7.h \
	plugins/channel_mms/mm7_read.c \
	plugins/channel_mms/mm7_write.c \
	plugins/channel_mms/options.c plugins/channel_mms/options.h \
	plugins/channel_mms/plugin.c \
	plugins/channel_mms/rate.c plugins/channel_mms/rate.h \
	plugins/channel_mms/report.c \
	plugins/channel_mms/status.c plugins/channel_mms/status.h \
	plugins/channel_mms/submit.c \
	plugins/channel_mms/xml.c plugins/channel_mms/xml.h \
	plugins/mime_guard.c plugins/mime_guard.h
plugins_channel_mms_channel_mms_la_CPPFLAGS = $(AM_CPPFLAGS) -D_GNU_SOURCE -I$(top_srcdir)/core/include \
	-I$(top_srcdir)/plugins/channel_mms -I$(top_srcdir)/plugins $(LIBCURL_CFLAGS) $(LIBXML2_CFLAGS) $(GMIME_CFLAGS)
plugins_channel_mms_channel_mms_la_LDFLAGS = $(PLUGIN_LDFLAGS)
plugins_channel_mms_channel_mms_la_LIBADD = $(LIBCURL_LIBS) $(LIBXML2_LIBS) $(GMIME_LIBS)

EXTRA_DIST += plugins/channel_mms/README.md
