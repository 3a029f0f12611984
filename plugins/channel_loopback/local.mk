pkglib_LTLIBRARIES += plugins/channel_loopback/channel_loopback.la
plugins_channel_loopback_channel_loopback_la_SOURCES = plugins/channel_loopback/channel_loopback.c
plugins_channel_loopback_channel_loopback_la_CPPFLAGS = $(AM_CPPFLAGS)
plugins_channel_loopback_channel_loopback_la_LDFLAGS = $(PLUGIN_LDFLAGS)
EXTRA_DIST += plugins/channel_loopback/README.md
