/* SPDX-License-Identifier: Apache-2.0 */
/* proto.c - names of SMPP numbers for logs and diagnostics. No logic: what a status means is
 * retry.c's business. Source: SMPP 3.4 issue 1.2 tables 5-1 and 5-2; SMPP 5.0 table 4-45 for 0x100
 * and above. */
#include "proto.h"

struct name {
    uint32_t number;
    const char *text;
};

static const struct name COMMANDS[] = {
    {SMPP_GENERIC_NACK, "generic_nack"},
    {SMPP_BIND_RECEIVER, "bind_receiver"},
    {SMPP_BIND_RECEIVER | SMPP_RESP, "bind_receiver_resp"},
    {SMPP_BIND_TRANSMITTER, "bind_transmitter"},
    {SMPP_BIND_TRANSMITTER | SMPP_RESP, "bind_transmitter_resp"},
    {SMPP_QUERY_SM, "query_sm"},
    {SMPP_QUERY_SM | SMPP_RESP, "query_sm_resp"},
    {SMPP_SUBMIT_SM, "submit_sm"},
    {SMPP_SUBMIT_SM | SMPP_RESP, "submit_sm_resp"},
    {SMPP_DELIVER_SM, "deliver_sm"},
    {SMPP_DELIVER_SM | SMPP_RESP, "deliver_sm_resp"},
    {SMPP_UNBIND, "unbind"},
    {SMPP_UNBIND | SMPP_RESP, "unbind_resp"},
    {SMPP_REPLACE_SM, "replace_sm"},
    {SMPP_REPLACE_SM | SMPP_RESP, "replace_sm_resp"},
    {SMPP_CANCEL_SM, "cancel_sm"},
    {SMPP_CANCEL_SM | SMPP_RESP, "cancel_sm_resp"},
    {SMPP_BIND_TRANSCEIVER, "bind_transceiver"},
    {SMPP_BIND_TRANSCEIVER | SMPP_RESP, "bind_transceiver_resp"},
    {SMPP_OUTBIND, "outbind"},
    {SMPP_ENQUIRE_LINK, "enquire_link"},
    {SMPP_ENQUIRE_LINK | SMPP_RESP, "enquire_link_resp"},
    {SMPP_SUBMIT_MULTI, "submit_multi"},
    {SMPP_SUBMIT_MULTI | SMPP_RESP, "submit_multi_resp"},
    {SMPP_ALERT_NOTIFICATION, "alert_notification"},
    {SMPP_DATA_SM, "data_sm"},
    {SMPP_DATA_SM | SMPP_RESP, "data_sm_resp"},
};

static const struct name STATUSES[] = {
    {0x00, "ESME_ROK"},
    {0x01, "ESME_RINVMSGLEN"},
    {0x02, "ESME_RINVCMDLEN"},
    {0x03, "ESME_RINVCMDID"},
    {0x04, "ESME_RINVBNDSTS"},
    {0x05, "ESME_RALYBND"},
    {0x06, "ESME_RINVPRTFLG"},
    {0x07, "ESME_RINVREGDLVFLG"},
    {0x08, "ESME_RSYSERR"},
    {0x0A, "ESME_RINVSRCADR"},
    {0x0B, "ESME_RINVDSTADR"},
    {0x0C, "ESME_RINVMSGID"},
    {0x0D, "ESME_RBINDFAIL"},
    {0x0E, "ESME_RINVPASWD"},
    {0x0F, "ESME_RINVSYSID"},
    {0x11, "ESME_RCANCELFAIL"},
    {0x13, "ESME_RREPLACEFAIL"},
    {0x14, "ESME_RMSGQFUL"},
    {0x15, "ESME_RINVSERTYP"},
    {0x33, "ESME_RINVNUMDESTS"},
    {0x34, "ESME_RINVDLNAME"},
    {0x40, "ESME_RINVDESTFLAG"},
    {0x42, "ESME_RINVSUBREP"},
    {0x43, "ESME_RINVESMCLASS"},
    {0x44, "ESME_RCNTSUBDL"},
    {0x45, "ESME_RSUBMITFAIL"},
    {0x48, "ESME_RINVSRCTON"},
    {0x49, "ESME_RINVSRCNPI"},
    {0x50, "ESME_RINVDSTTON"},
    {0x51, "ESME_RINVDSTNPI"},
    {0x53, "ESME_RINVSYSTYP"},
    {0x54, "ESME_RINVREPFLAG"},
    {0x55, "ESME_RINVNUMMSGS"},
    {0x58, "ESME_RTHROTTLED"},
    {0x61, "ESME_RINVSCHED"},
    {0x62, "ESME_RINVEXPIRY"},
    {0x63, "ESME_RINVDFTMSGID"},
    {0x64, "ESME_RX_T_APPN"},
    {0x65, "ESME_RX_P_APPN"},
    {0x66, "ESME_RX_R_APPN"},
    {0x67, "ESME_RQUERYFAIL"},
    {0xC0, "ESME_RINVOPTPARSTREAM"},
    {0xC1, "ESME_ROPTPARNOTALLWD"},
    {0xC2, "ESME_RINVPARLEN"},
    {0xC3, "ESME_RMISSINGOPTPARAM"},
    {0xC4, "ESME_RINVOPTPARAMVAL"},
    {0xFE, "ESME_RDELIVERYFAILURE"},
    {0xFF, "ESME_RUNKNOWNERR"},
    {0x100, "ESME_RSERTYPUNAUTH"},
    {0x101, "ESME_RPROHIBITED"},
    {0x102, "ESME_RSERTYPUNAVAIL"},
    {0x103, "ESME_RSERTYPDENIED"},
    {0x104, "ESME_RINVDCS"},
};

static const char *find(const struct name *names, size_t n, uint32_t number)
{
    for (size_t i = 0; i < n; i++)
        if (names[i].number == number)
            return names[i].text;
    return NULL;
}

const char *smpp_command_name(uint32_t command)
{
    const char *text = find(COMMANDS, sizeof COMMANDS / sizeof COMMANDS[0], command);
    return text ? text : "unknown";
}

const char *smpp_status_name(uint32_t status)
{
    const char *text = find(STATUSES, sizeof STATUSES / sizeof STATUSES[0], status);
    if (text)
        return text;
    return status >= 0x400 && status <= 0x4FF ? "vendor" : "unknown";
}

uint32_t smpp_seq_next(uint32_t sequence)
{
    return sequence >= SMPP_SEQ_MAX ? 1 : sequence + 1;
}
