# SPDX-License-Identifier: Apache-2.0
# plugins/local.mk - one include per plugin.
include plugins/channel_loopback/local.mk
include plugins/channel_task/local.mk
include plugins/campaign_broadcast/local.mk
if WITH_SMPP
include plugins/channel_smpp/local.mk
endif
if WITH_MMS
include plugins/channel_mms/local.mk
endif
if WITH_IVR
include plugins/channel_ivr/local.mk
endif
if WITH_EMAIL
include plugins/channel_email/local.mk
endif
