# SPDX-License-Identifier: Apache-2.0
# local.mk - channel_ivr, for the non-recursive Makefile.am.
pkglib_LTLIBRARIES += plugins/channel_ivr/channel_ivr.la

plugins_channel_ivr_channel_ivr_la_SOURCES = \
	plugins/channel_ivr/call.c \
	plugins/channel_ivr/call_flow.c \
	plugins/channel_ivr/check.c \
	plugins/channel_ivr/clip.c \
	plugins/channel_ivr/clip.h \
	plugins/channel_ivr/clip_int.h \
	plugins/channel_ivr/clip_work.c \
	plugins/channel_ivr/contacts.c \
	plugins/channel_ivr/dial.c \
	plugins/channel_ivr/flow.c \
	plugins/channel_ivr/flow.h \
	plugins/channel_ivr/flow_int.h \
	plugins/channel_ivr/flow_node.c \
	plugins/channel_ivr/g711.c \
	plugins/channel_ivr/g711.h \
	plugins/channel_ivr/inbox.c \
	plugins/channel_ivr/instance.c \
	plugins/channel_ivr/instance.h \
	plugins/channel_ivr/loop.c \
	plugins/channel_ivr/loop.h \
	plugins/channel_ivr/media.c \
	plugins/channel_ivr/media.h \
	plugins/channel_ivr/options.c \
	plugins/channel_ivr/options.h \
	plugins/channel_ivr/outcome.c \
	plugins/channel_ivr/outcome.h \
	plugins/channel_ivr/plugin.c \
	plugins/channel_ivr/rtp.c \
	plugins/channel_ivr/rtp.h \
	plugins/channel_ivr/sip.c \
	plugins/channel_ivr/sip.h \
	plugins/channel_ivr/sip_int.h \
	plugins/channel_ivr/sip_leg.c \
	plugins/channel_ivr/speech.c \
	plugins/channel_ivr/speech.h \
	plugins/channel_ivr/trunk.c \
	plugins/channel_ivr/trunk.h \
	plugins/channel_ivr/wav.c \
	plugins/channel_ivr/wav.h
plugins_channel_ivr_channel_ivr_la_CPPFLAGS = $(AM_CPPFLAGS) -D_GNU_SOURCE -I$(top_srcdir)/core/include \
	-I$(top_srcdir)/plugins/channel_ivr $(LIBRE_CFLAGS) $(JANSSON_CFLAGS)
plugins_channel_ivr_channel_ivr_la_LDFLAGS = $(PLUGIN_LDFLAGS)
plugins_channel_ivr_channel_ivr_la_LIBADD = $(LIBRE_LIBS) $(JANSSON_LIBS) -lm -lpthread

EXTRA_DIST += plugins/channel_ivr/README.md
