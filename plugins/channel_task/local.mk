pkglib_LTLIBRARIES += plugins/channel_task/channel_task.la
plugins_channel_task_channel_task_la_SOURCES = plugins/channel_task/channel_task.c plugins/channel_task/document.c plugins/channel_task/document.h
plugins_channel_task_channel_task_la_CPPFLAGS = $(AM_CPPFLAGS)
plugins_channel_task_channel_task_la_LDFLAGS = $(PLUGIN_LDFLAGS)
EXTRA_DIST += plugins/channel_task/README.md
