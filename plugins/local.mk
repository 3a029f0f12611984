# SPDX-License-Identifier: Apache-2.0
# plugins/local.mk - one include per plugin.
include plugins/channel_loopback/local.mk
include plugins/channel_task/local.mk
include plugins/campaign_broadcast/local.mk
if WITH_SMPP
include plugins/channel_smpp/local.mk
endif
