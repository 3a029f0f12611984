# SPDX-License-Identifier: Apache-2.0
# local.mk - channel_smpp, for the non-recursive Makefile.am. The include path must hold core/include and this folder (for VPATH builds
# both come from AM_CPPFLAGS and from the -I below).
pkglib_LTLIBRARIES += plugins/channel_smpp/channel_smpp.la

plugins_channel_smpp_channel_smpp_la_SOURCES = \
	plugins/channel_smpp/address.c plugins/channel_smpp/address.h \
	plugins/channel_smpp/bind.c plugins/channel_smpp/bind.h \
	plugins/channel_smpp/conn.c plugins/channel_smpp/conn.h \
	plugins/channel_smpp/dedupe.c \
	plugins/channel_smpp/dispatch.c \
	plugins/channel_smpp/guard.c plugins/channel_smpp/guard.h \
	plugins/channel_smpp/inbox.c \
	plugins/channel_smpp/inflight.c plugins/channel_smpp/inflight.h \
	plugins/channel_smpp/instance.c plugins/channel_smpp/instance.h \
	plugins/channel_smpp/message.c plugins/channel_smpp/message.h \
	plugins/channel_smpp/msgid.c plugins/channel_smpp/msgid.h \
	plugins/channel_smpp/ops.h \
	plugins/channel_smpp/options.c plugins/channel_smpp/options.h \
	plugins/channel_smpp/pdu.c plugins/channel_smpp/pdu.h \
	plugins/channel_smpp/plugin.c \
	plugins/channel_smpp/proto.c plugins/channel_smpp/proto.h \
	plugins/channel_smpp/pump.c \
	plugins/channel_smpp/query.c \
	plugins/channel_smpp/rate.c plugins/channel_smpp/rate.h \
	plugins/channel_smpp/recall.c \
	plugins/channel_smpp/reassembly.c plugins/channel_smpp/reassembly.h \
	plugins/channel_smpp/receipt.c plugins/channel_smpp/receipt.h \
	plugins/channel_smpp/resolve.c plugins/channel_smpp/resolve.h \
	plugins/channel_smpp/retry.c plugins/channel_smpp/retry.h \
	plugins/channel_smpp/segment.c plugins/channel_smpp/segment.h \
	plugins/channel_smpp/text.c plugins/channel_smpp/text.h \
	plugins/channel_smpp/tls.c plugins/channel_smpp/tls.h \
	plugins/channel_smpp/validity.c plugins/channel_smpp/validity.h
plugins_channel_smpp_channel_smpp_la_CPPFLAGS = $(AM_CPPFLAGS) -D_GNU_SOURCE -I$(top_srcdir)/core/include \
	-I$(top_srcdir)/plugins/channel_smpp $(LIBSMPP34_CFLAGS) $(OPENSSL_CFLAGS)
plugins_channel_smpp_channel_smpp_la_LDFLAGS = $(PLUGIN_LDFLAGS)
plugins_channel_smpp_channel_smpp_la_LIBADD = $(LIBSMPP34_LIBS) $(OPENSSL_LIBS) -lpthread

EXTRA_DIST += plugins/channel_smpp/README.md
