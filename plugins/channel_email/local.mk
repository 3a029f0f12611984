# SPDX-License-Identifier: Apache-2.0
# local.mk - channel_email, for the non-recursive Makefile.am.
pkglib_LTLIBRARIES += plugins/channel_email/channel_email.la

plugins_channel_email_channel_email_la_SOURCES = \
	plugins/channel_email/blobs.c plugins/channel_email/blobs.h \
	plugins/channel_email/classify.c plugins/channel_email/classify.h \
	plugins/channel_email/compose.c plugins/channel_email/compose.h \
	plugins/channel_email/compose_check.c \
	plugins/channel_email/domains.c plugins/channel_email/domains.h \
	plugins/channel_email/inbox.c \
	plugins/channel_email/instance.h \
	plugins/channel_email/mime.c plugins/channel_email/mime.h \
	plugins/mime_guard.c plugins/mime_guard.h \
	plugins/channel_email/options.c \
	plugins/channel_email/plugin.c \
	plugins/channel_email/pool.c \
	plugins/channel_email/report.c plugins/channel_email/report.h \
	plugins/channel_email/results.c \
	plugins/channel_email/sender.c \
	plugins/channel_email/smtp.c plugins/channel_email/smtp.h plugins/channel_email/smtp_int.h \
	plugins/channel_email/text.h \
	plugins/channel_email/token.c plugins/channel_email/token.h
plugins_channel_email_channel_email_la_CPPFLAGS = $(AM_CPPFLAGS) -D_GNU_SOURCE -I$(top_srcdir)/core/include \
	-I$(top_srcdir)/plugins/channel_email -I$(top_srcdir)/plugins $(GMIME_CFLAGS) $(LIBCURL_CFLAGS) $(LIBSODIUM_CFLAGS)
plugins_channel_email_channel_email_la_LDFLAGS = $(PLUGIN_LDFLAGS)
EMAIL_LIBS = $(GMIME_LIBS) $(LIBCURL_LIBS) $(LIBSODIUM_LIBS)
plugins_channel_email_channel_email_la_LIBADD = $(EMAIL_LIBS) -lpthread

EXTRA_DIST += plugins/channel_email/README.md
