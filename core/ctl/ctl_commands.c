/* SPDX-License-Identifier: Apache-2.0 */
/* ctl_commands.c - the one table of commands: parsing, --help, completion and the manual's test
 * read it. No behaviour here. */
#include "ctl/ctl.h"

#define CHANNELS "sms|mms|voice|email|task"
#define CLASSES "marketing|service|reply|optout_confirm|emergency"
#define END                                                                                        \
    {                                                                                              \
        NULL, 0, 0, NULL, NULL, NULL                                                               \
    }
#define REGION                                                                                     \
    {                                                                                              \
        "region", 0, CTL_TEXT, "CC", NULL,                                                         \
            "country of numbers in national form, as ISO 3166-1 alpha-2"                           \
    }
#define FORMAT                                                                                     \
    {                                                                                              \
        "format", 0, CTL_WORD, "WORD", "csv|ndjson",                                               \
            "form of the file, when its name does not say"                                         \
    }
#define CONTACT_FILTERS                                                                            \
    {"customer", 0, CTL_TEXT, "ID", NULL, "contacts of this customer (cus_...)"},                  \
        {"campaign", 0, CTL_TEXT, "ID", NULL, "contacts of this campaign"},                        \
        {"verdict", 0, CTL_WORD, "WORD", "ALLOW|DEFER|DENY", "only this verdict"},                 \
        {"reason", 0, CTL_TEXT, "WORD", NULL, "only this reason, such as cap.period"},             \
        {"state", 0, CTL_TEXT, "WORD", NULL, "only this state, such as delivered"},                \
        {"from", 0, CTL_TIME, "TIME", NULL, "decided at or after"},                                \
    {                                                                                              \
        "to", 0, CTL_TIME, "TIME", NULL, "decided before"                                          \
    }

const struct ctl_option ctl_global_options[] = {
    {"server", 's', CTL_TEXT, "URL", NULL, "address of the gateway; needs a key"},
    {"socket", 0, CTL_FILE, "PATH", NULL, "local socket of the gateway"},
    {"key-file", 0, CTL_FILE, "FILE", NULL,
     "file with an API key; also $CAMPGW_KEY, ~/.config/campgw/key"},
    {"config", 'c', CTL_FILE, "FILE", NULL,
     "configuration, for commands that work without the daemon"},
    {"json", 'j', CTL_FLAG, NULL, NULL,
     "answer as JSON: one document, or one per line for streams"},
    {"yes", 'y', CTL_FLAG, NULL, NULL, "do not ask"},
    {"dry-run", 'n', CTL_FLAG, NULL, NULL,
     "show the request that would be sent and change nothing"},
    {"no-color", 0, CTL_FLAG, NULL, NULL, "no colours; also $NO_COLOR"},
    {"verbose", 'v', CTL_FLAG, NULL, NULL, "show requests on stderr"},
    {"help", 'h', CTL_FLAG, NULL, NULL, "what a noun or a command does"},
    END};
const struct ctl_option ctl_list_options[] = {
    {"limit", 0, CTL_INT, "N", NULL, "rows at most (default 50)"},
    {"all", 0, CTL_FLAG, NULL, NULL, "every row; with --json one per line"},
    END};
const struct ctl_option ctl_watch_options[] = {
    {"watch", 'w', CTL_FLAG, NULL, NULL, "stay and show the progress until it ends"}, END};

static const struct ctl_option setup_options[] = {
    {"database", 0, CTL_TEXT, "CONNINFO", NULL,
     "how to reach the server as a superuser, or the database as campgw_owner"},
    {"dbname", 0, CTL_TEXT, "NAME", NULL, "database to create or use (default campgw)"},
    {"daemon-database", 0, CTL_TEXT, "CONNINFO", NULL,
     "how the daemon reaches it (written into the configuration)"},
    {"conf-dir", 0, CTL_FILE, "DIR", NULL, "where the configuration goes"},
    {"credentials-dir", 0, CTL_FILE, "DIR", NULL,
     "where the keys go (default credentials in conf-dir)"},
    {"api-socket", 0, CTL_FILE, "PATH", NULL,
     "local socket of the API (written into the configuration)"},
    {"port", 0, CTL_INT, "N", NULL, "TCP port of the API (written into the configuration)"},
    {"node", 0, CTL_TEXT, "NAME", NULL, "name of this node (written into the configuration)"},
    {"owner", 0, CTL_TEXT, "USER", NULL,
     "account that gets the key files; not needed under systemd"},
    {"os-user", 0, CTL_TEXT, "USER", NULL,
     "account to connect to the database as (root only; default postgres without --database)"},
    {"sql", 0, CTL_FILE, "DIR", NULL, "directory of roles.sql and the migrations"},
    {"examples", 0, CTL_FILE, "DIR", NULL, "directory of the shipped optout.conf"},
    END};
static const struct ctl_option migrate_options[] = {
    {"database", 0, CTL_TEXT, "CONNINFO", NULL,
     "instead of database.owner_conninfo of the configuration"},
    {"sql", 0, CTL_FILE, "DIR", NULL, "directory of the migrations"},
    END};
static const struct ctl_option db_options[] = {
    {"database", 0, CTL_TEXT, "CONNINFO", NULL,
     "instead of database.conninfo of the configuration"},
    END};
static const struct ctl_option key_options[] = {
    {"name", 0, CTL_TEXT, "NAME", NULL, "what the key is for (required)"},
    {"scopes", 0, CTL_WORDS, "LIST", NULL,
     "comma-separated scopes, such as campaigns:read (required)"},
    {"classes", 0, CTL_WORDS, "LIST", CLASSES, "contact classes it may use (default marketing)"},
    {"partner", 0, CTL_INT, "N", NULL, "partner it belongs to (default your own)"},
    {"expires", 0, CTL_TIME, "TIME", NULL, "when it ends: RFC 3339, or +90d"},
    {"save", 0, CTL_FILE, "FILE", NULL,
     "write the secret into a new file of mode 0600 instead of showing it"},
    END};
static const struct ctl_option rotate_options[] = {
    {"save", 0, CTL_FILE, "FILE", NULL,
     "write the secret into a new file of mode 0600 instead of showing it"},
    END};
#define OUTPUT                                                                                     \
    {                                                                                              \
        "output", 'o', CTL_FILE, "FILE", NULL, "write there instead of standard output"            \
    }
static const struct ctl_option output_options[] = {OUTPUT, END};
static const struct ctl_option upload_options[] = {
    {"name", 0, CTL_TEXT, "NAME", NULL, "name of the new audience (default: the file's)"},
    {"channels", 0, CTL_WORDS, "LIST", CHANNELS, "channels it is for (default sms)"},
    REGION,
    {"dims", 0, CTL_WORDS, "LIST", NULL, "fields to break results down by"},
    {"audience", 0, CTL_TEXT, "ID", NULL, "fill this audience instead of a new one"},
    FORMAT,
    END};
static const struct ctl_option media_options[] = {
    {"name", 0, CTL_TEXT, "NAME", NULL, "name for people (default: the file's)"},
    {"type", 0, CTL_TEXT, "TYPE", NULL,
     "media type that the bytes must be of, such as image/jpeg (default: what they are)"},
    END};
static const struct ctl_option list_state[] = {
    {"state", 0, CTL_TEXT, "STATE", NULL, "only those in this state"}, END};
static const struct ctl_option create_options[] = {
    {"file", 'f', CTL_FILE, "FILE", NULL, "campaign as JSON, - for standard input (required)"},
    END};
static const struct ctl_option change_options[] = {
    {"file", 'f', CTL_FILE, "FILE", NULL,
     "members to change as JSON, - for standard input (required)"},
    END};
static const struct ctl_option start_options[] = {
    {"expect-max", 0, CTL_INT, "N", NULL,
     "refuse to start when more people than this would be contacted (default: the audience as "
     "shown)"},
    END};
static const struct ctl_option schedule_options[] = {
    {"not-before", 0, CTL_TIME, "TIME", NULL, "first moment to contact anybody: RFC 3339, or +2h"},
    {"not-after", 0, CTL_TIME, "TIME", NULL, "last moment to contact anybody"},
    END};
static const struct ctl_option watch_options[] = {
    {"until", 0, CTL_WORD, "STATE", "finishing|completed",
     "end when everybody is contacted, or when every receipt is in (default completed)"},
    {"timeout", 0, CTL_INT, "SECONDS", NULL,
     "give up watching after that long; the campaign goes on"},
    END};
static const struct ctl_option funnel_options[] = {
    {"by", 0, CTL_WORDS, "LIST", "wave|channel", "split by wave, channel or both"}, END};
static const struct ctl_option why_options[] = {
    {"channel", 0, CTL_WORD, "WORD", CHANNELS, "channel to ask for (default sms)"},
    {"class", 0, CTL_WORD, "WORD", CLASSES, "contact class to ask for (default marketing)"},
    {"purpose", 0, CTL_TEXT, "WORD", NULL, "purpose to ask for"},
    {"at", 0, CTL_TIME, "TIME", NULL, "moment to ask for (default now)"},
    REGION,
    END};
static const struct ctl_option contact_options[] = {CONTACT_FILTERS, END};
static const struct ctl_option export_options[] = {
    CONTACT_FILTERS,
    {"format", 0, CTL_WORD, "WORD", "csv|ndjson",
     "form of the export (default csv, with --json ndjson)"},
    OUTPUT,
    END};
#define TASK_CAMPAIGN                                                                              \
    {                                                                                              \
        "campaign", 0, CTL_TEXT, "CAMPAIGN", NULL, "only of this campaign"                         \
    }
#define TASK_AGENT                                                                                 \
    {                                                                                              \
        "agent", 0, CTL_TEXT, "TEXT", NULL, "who takes them, for people (default the key)"         \
    }
static const struct ctl_option task_list_options[] = {
    {"channel", 0, CTL_TEXT, "NAME", NULL, "only of this instance, or of the channel task"},
    {"state", 0, CTL_WORD, "WORD", "open|leased|done|expired|withdrawn", "only in this state"},
    TASK_CAMPAIGN,
    END};
static const struct ctl_option task_lease_options[] = {
    {"limit", 0, CTL_INT, "N", NULL, "tasks at most (default 1)"},
    {"lease", 0, CTL_TEXT, "DURATION", NULL, "how long they are yours, such as PT15M (default)"},
    TASK_AGENT,
    TASK_CAMPAIGN,
    {"format", 0, CTL_WORD, "WORD", "csv|ndjson", "form of the tasks (default ndjson)"},
    END};
static const struct ctl_option task_export_options[] = {
    TASK_AGENT,
    TASK_CAMPAIGN,
    {"format", 0, CTL_WORD, "WORD", "csv|ndjson",
     "form of the list (default csv, with --json ndjson)"},
    END};
static const struct ctl_option task_outcome_options[] = {
    {"seconds", 0, CTL_INT, "N", NULL, "how long it took"},
    {"text", 0, CTL_TEXT, "TEXT", NULL, "what the person said"},
    END};
static const struct ctl_option task_import_options[] = {FORMAT, END};
static const struct ctl_option dnd_options[] = {
    {"list", 0, CTL_TEXT, "LIST", NULL, "list by id or name (default dnd_optouts)"},
    {"file", 'f', CTL_FILE, "FILE", NULL, "people from a CSV or NDJSON file instead of arguments"},
    FORMAT,
    REGION,
    END};
static const struct ctl_option list_options[] = {
    {"channel", 0, CTL_WORD, "WORD", CHANNELS, "hold this channel only (default all)"},
    {"class", 0, CTL_WORD, "WORD", CLASSES, "hold this contact class only (default all)"},
    END};
static const struct ctl_option people_options[] = {REGION, FORMAT, END};
static const struct ctl_option region_options[] = {REGION, END};
static const struct ctl_option grant_options[] = {
    {"purpose", 0, CTL_TEXT, "WORD", NULL, "what the consent is for (default marketing)"},
    {"channel", 0, CTL_WORD, "WORD", CHANNELS "|all", "channel it covers (default all)"},
    {"source", 0, CTL_TEXT, "TEXT", NULL, "where it was given: shop, call, form (required)"},
    {"evidence", 0, CTL_TEXT, "TEXT", NULL, "what proves it: form number, recording"},
    {"at", 0, CTL_TIME, "TIME", NULL, "when it was said (default now)"},
    {"expires", 0, CTL_TIME, "TIME", NULL, "when a grant ends"},
    REGION,
    END};
static const struct ctl_option consent_show_options[] = {
    {"history", 0, CTL_FLAG, NULL, NULL, "every statement, not only what holds"}, REGION, END};
static const struct ctl_option cap_options[] = {
    {"max", 0, CTL_TEXT, "N", NULL, "contacts at most; 0 = none allowed, none = no cap (required)"},
    {"period", 0, CTL_WORD, "WORD", "day|week|month|quarter|year", "calendar period to count in"},
    {"sliding", 0, CTL_INT, "DAYS", NULL, "count over that many days instead of a period"},
    {"channel", 0, CTL_WORD, "WORD", CHANNELS "|all", "channel it counts (default all together)"},
    {"classes", 0, CTL_WORDS, "LIST", CLASSES, "contact classes it counts (default marketing)"},
    {"zone", 0, CTL_TEXT, "ZONE", NULL, "time zone of the period's borders, such as Asia/Shanghai"},
    END};
static const struct ctl_option import_options[] = {
    {"name", 0, CTL_TEXT, "NAME", NULL, "calendar to create or replace (default: the file's name)"},
    {"region", 0, CTL_TEXT, "REGION", NULL,
     "people it is for, such as CN or CN-GD (default everybody)"},
    {"classes", 0, CTL_WORDS, "LIST", CLASSES, "contact classes it holds back"},
    {"channels", 0, CTL_WORDS, "LIST", CHANNELS, "channels it holds back (default all)"},
    END};
static const struct ctl_option hours_options[] = {
    {"hours", 0, CTL_TEXT, "LIST", NULL,
     "open hours in the person's own time, such as mon-fri=09:00-20:00,sat=10:00-18:00 (required)"},
    {"region", 0, CTL_TEXT, "REGION", NULL,
     "people it is for, such as CN or CN-GD (default everybody)"},
    {"classes", 0, CTL_WORDS, "LIST", CLASSES, "contact classes it holds back"},
    {"channels", 0, CTL_WORDS, "LIST", CHANNELS, "channels it holds back (default all)"},
    END};
static const struct ctl_option calendar_options[] = {
    {"month", 0, CTL_TEXT, "YYYY-MM", NULL, "month to show (default this one)"},
    {"region", 0, CTL_TEXT, "REGION", NULL, "as it is for people of this region"},
    END};
static const struct ctl_option person_options[] = {REGION, END};
#define ROUTE_MEMBERS                                                                               \
    {"sender", 0, CTL_TEXT, "ADDRESS", NULL, "sender shown to people"},                             \
        {"sender-kind",       0, CTL_WORD, "WORD", "auto|number|email|sip|short_code|alphanumeric", \
         "what the sender is"},                                                                     \
        {"service-code", 0, CTL_TEXT, "TEXT", NULL, "charging or service code the peer wants"},     \
        {"rate", 0, CTL_INT, "N", NULL, "messages or segments a second at most"},                   \
        {"classes", 0, CTL_WORDS, "LIST", CLASSES, "contact classes it carries"},                   \
        {"prefixes", 0, CTL_WORDS, "LIST", NULL, "numbers it carries, such as +86,+852"},           \
        {"regions", 0, CTL_WORDS, "LIST", NULL, "regions it carries"},                              \
        {"priority", 0, CTL_INT, "N", NULL, "lower ones are tried first"},                          \
        {"weight", 0, CTL_INT, "N", NULL, "share among routes of equal priority"},                  \
        {"max-segments", 0, CTL_INT, "N", NULL, "longest message in segments"},                     \
        {"max-tries", 0, CTL_INT, "N", NULL, "attempts for one message"},                           \
    {                                                                                               \
        "no-receipts", 0, CTL_FLAG, NULL, NULL, "do not ask for receipts"                           \
    }
static const struct ctl_option route_options[] = {
    {"channel", 0, CTL_WORD, "WORD", CHANNELS, "channel (default sms)"},
    {"instance", 0, CTL_TEXT, "NAME", NULL, "channel instance of the configuration (required)"},
    ROUTE_MEMBERS,
    END};
static const struct ctl_option route_set_options[] = {
    {"name", 0, CTL_TEXT, "NAME", NULL, "new name"},
    {"instance", 0, CTL_TEXT, "NAME", NULL, "channel instance of the configuration"},
    ROUTE_MEMBERS,
    END};
static const struct ctl_option probe_options[] = {
    {"to", 0, CTL_TEXT, "ADDRESS", NULL, "number or mailbox of your own (required)"},
    {"at", 0, CTL_TEXT, "HH:MM", NULL, "time of the day (required)"},
    {"zone", 0, CTL_TEXT, "ZONE", NULL, "time zone of that time, such as Asia/Shanghai (required)"},
    {"text", 0, CTL_TEXT, "TEXT", NULL, "text of the message"},
    {"file", 'f', CTL_FILE, "FILE", NULL, "content as of a wave as JSON, instead of a text"},
    END};
#define PARTNER_MEMBERS                                                                            \
    {"quota", 0, CTL_TEXT, "N", NULL, "messages a day at most; none = no quota"},                  \
        {"rate", 0, CTL_TEXT, "N", NULL, "messages a second at most; none = no limit"},            \
    {                                                                                              \
        "zone", 0, CTL_TEXT, "ZONE", NULL, "time zone of the quota's day (default UTC)"            \
    }
static const struct ctl_option partner_options[] = {PARTNER_MEMBERS, END};
static const struct ctl_option partner_set_options[] = {
    {"name", 0, CTL_TEXT, "NAME", NULL, "new name"}, PARTNER_MEMBERS, END};
static const struct ctl_option settlement_options[] = {
    {"from", 0, CTL_TEXT, "DAY", NULL, "first day, such as 2026-01-01 (default: of this month)"},
    {"to", 0, CTL_TEXT, "DAY", NULL, "last day (default today)"},
    {"zone", 0, CTL_TEXT, "ZONE", NULL, "time zone of the days (default UTC)"},
    {"format", 0, CTL_WORD, "WORD", "table|csv", "form (default table, with --output csv)"},
    OUTPUT,
    END};

#define CMD(noun_, verb_, args_, min_, max_, flags_, kind_, options_, run_, help_)                 \
    {                                                                                              \
        .noun = noun_, .verb = verb_, .args = args_, .min = min_, .max = max_, .flags = flags_,    \
        .kind = kind_, .options = options_, .run = ctl_##run_, .help = help_                       \
    }

const struct ctl_command ctl_commands[] = {
    CMD("status", NULL, "", 0, 0, 0, NULL, NULL, status,
        "one screen: is it ready, what runs; the exit code tells, too"),
    CMD("doctor", NULL, "", 0, 0, CTL_F_LOCAL, NULL, NULL, doctor,
        "check configuration, keys, database, plugins, ports and clock; each fault with its fix"),
    CMD("version", NULL, "", 0, 0, 0, NULL, NULL, version,
        "versions of this program and of the gateway"),
    CMD("setup", NULL, "", 0, 0, CTL_F_LOCAL, NULL, setup_options, setup,
        "once per installation: database, keys, configuration; safe to repeat"),
    CMD("db", "migrate", "", 0, 0, CTL_F_LOCAL, NULL, migrate_options, db_migrate,
        "bring the schema up to this version; safe to repeat"),
    CMD("db", "check", "", 0, 0, CTL_F_LOCAL, NULL, db_options, db_check,
        "would the daemon accept this database?"),
    CMD("key", "create", "", 0, 0, 0, NULL, key_options, key_create,
        "make an API key; its secret is shown once"),
    CMD("key", "list", "", 0, 0, CTL_F_LIST, NULL, NULL, key_list,
        "API keys and when they were last used"),
    CMD("key", "rotate", "KEY", 1, 1, CTL_F_DESTRUCTIVE, "key", rotate_options, key_rotate,
        "give an API key a new secret, shown once; the old one stops working"),
    CMD("key", "revoke", "KEY", 1, 1, CTL_F_DESTRUCTIVE, "key", NULL, key_revoke,
        "end an API key at once"),
    CMD("audience", "upload", "FILE", 1, 1, 0, "file", upload_options, audience_upload,
        "make an audience from a CSV or NDJSON file, gzip allowed"),
    CMD("audience", "list", "", 0, 0, CTL_F_LIST, NULL, NULL, audience_list, "audiences"),
    CMD("audience", "show", "AUDIENCE", 1, 1, 0, "audience", NULL, audience_show, "one audience"),
    CMD("audience", "rejects", "AUDIENCE", 1, 1, CTL_F_LIST, "audience", NULL, audience_rejects,
        "rows that were refused, with the reason"),
    CMD("audience", "archive", "AUDIENCE", 1, 1, CTL_F_DESTRUCTIVE, "audience", NULL, thing_remove,
        "put an audience away"),
    CMD("media", "upload", "FILE", 1, 1, 0, "file", media_options, media_upload,
        "keep a picture, sound, film or document that campaigns refer to"),
    CMD("media", "list", "", 0, 0, CTL_F_LIST, NULL, NULL, media_list, "media"),
    CMD("media", "show", "MEDIA", 1, 1, 0, NULL, NULL, media_show, "one media"),
    CMD("media", "download", "MEDIA", 1, 1, 0, NULL, output_options, media_download,
        "the bytes of a media"),
    CMD("media", "delete", "MEDIA", 1, 1, CTL_F_DESTRUCTIVE, NULL, NULL, media_delete,
        "delete a media that nothing refers to"),
    CMD("campaign", "create", "", 0, 0, 0, NULL, create_options, campaign_create,
        "make a draft from a JSON file"),
    CMD("campaign", "list", "", 0, 0, CTL_F_LIST, NULL, list_state, campaign_list, "campaigns"),
    CMD("campaign", "show", "CAMPAIGN", 1, 1, 0, "campaign", NULL, campaign_show, "one campaign"),
    CMD("campaign", "change", "CAMPAIGN", 1, 1, 0, "campaign", change_options, campaign_change,
        "change a campaign that has not started"),
    CMD("campaign", "schedule", "CAMPAIGN", 1, 1, CTL_F_WATCH, "campaign", schedule_options,
        campaign_schedule, "start by itself when its time comes"),
    CMD("campaign", "start", "CAMPAIGN", 1, 1, CTL_F_WATCH | CTL_F_DESTRUCTIVE, "campaign",
        start_options, campaign_start, "start now; shows how many people first"),
    CMD("campaign", "pause", "CAMPAIGN", 1, 1, 0, "campaign", NULL, campaign_action,
        "hand nothing more to the channels"),
    CMD("campaign", "resume", "CAMPAIGN", 1, 1, CTL_F_WATCH, "campaign", NULL, campaign_action,
        "go on after a pause"),
    CMD("campaign", "cancel", "CAMPAIGN", 1, 1, CTL_F_DESTRUCTIVE, "campaign", NULL,
        campaign_cancel, "end it for good; says how many were sent"),
    CMD("campaign", "watch", "CAMPAIGN", 1, 1, 0, "campaign", watch_options, campaign_watch,
        "show the progress until it ends"),
    CMD("campaign", "funnel", "CAMPAIGN", 1, 1, 0, "campaign", funnel_options, campaign_funnel,
        "from audience to delivered, with everybody held and why"),
    CMD("campaign", "responses", "CAMPAIGN", 1, 1, CTL_F_LIST, "campaign", NULL, campaign_responses,
        "what people answered"),
    CMD("campaign", "answers", "CAMPAIGN", 1, 1, 0, "campaign", NULL, campaign_answers,
        "the most frequent answers, counted"),
    CMD("campaign", "delete", "CAMPAIGN", 1, 1, CTL_F_DESTRUCTIVE, "campaign", NULL, thing_remove,
        "delete a draft"),
    CMD("customer", "why", "NUMBER", 1, 1, 0, "number", why_options, customer_why,
        "would this person be contacted, and what happened before"),
    CMD("customer", "show", "CUSTOMER", 1, 1, 0, "number", person_options, customer_show,
        "one customer, with lists and consents"),
    CMD("customer", "upload", "FILE", 1, 1, 0, "file", people_options, customer_upload,
        "create or update customers from a CSV or NDJSON file, gzip allowed"),
    CMD("customer", "link", "CUSTOMER OTHER", 2, 2, CTL_F_DESTRUCTIVE, "number", person_options,
        customer_link, "say that two customers are one person"),
    CMD("customer", "reassigned", "CUSTOMER ADDRESS", 2, 2, CTL_F_DESTRUCTIVE, "number",
        person_options, customer_reassigned, "say that an address went to somebody else"),
    CMD("customer", "erase", "CUSTOMER", 1, 1, CTL_F_DESTRUCTIVE, "number", person_options,
        customer_erase, "forget a customer; opt-outs stay"),
    CMD("contact", "list", "", 0, 0, CTL_F_LIST, NULL, contact_options, contact_list,
        "the contact log of a customer or a campaign"),
    CMD("contact", "show", "CONTACT", 1, 1, 0, NULL, NULL, contact_show,
        "one contact: decisions, attempts, receipts"),
    CMD("contact", "export", "", 0, 0, 0, NULL, export_options, contact_export,
        "the contact log as a file"),
    CMD("task", "list", "", 0, 0, CTL_F_LIST, NULL, task_list_options, task_list,
        "tasks of agents and what became of them"),
    CMD("task", "lease", "CHANNEL", 1, 1, 0, NULL, task_lease_options, task_lease,
        "take tasks, with addresses and scripts"),
    CMD("task", "export", "CHANNEL", 1, 1, 0, NULL, task_export_options, task_export,
        "take every open task as a list, until their windows end"),
    CMD("task", "import", "FILE", 1, 1, 0, "file", task_import_options, task_import,
        "outcomes of a list that comes back"),
    CMD("task", "show", "TASK", 1, 1, 0, NULL, NULL, task_show, "one task"),
    CMD("task", "outcome", "TASK OUTCOME", 2, 2, 0, NULL, task_outcome_options, task_outcome,
        "say what became of a task"),
    CMD("task", "release", "TASK", 1, 1, 0, NULL, NULL, task_release, "give a task back"),
    CMD("dnd", "list", "", 0, 0, CTL_F_LIST, NULL, NULL, dnd_list, "do-not-disturb lists"),
    CMD("dnd", "create", "NAME", 1, 1, 0, NULL, list_options, dnd_create,
        "make a do-not-disturb list"),
    CMD("dnd", "entries", "LIST", 1, 1, CTL_F_LIST, "dnd", NULL, dnd_entries,
        "who stands in a list"),
    CMD("dnd", "delete", "LIST", 1, 1, CTL_F_DESTRUCTIVE, "dnd", NULL, thing_remove,
        "delete a list and its entries"),
    CMD("dnd", "add", "[NUMBER ...]", 0, CTL_ARGS_MAX, 0, "number", dnd_options, dnd_add,
        "stop contacts to these people"),
    CMD("dnd", "remove", "[NUMBER ...]", 0, CTL_ARGS_MAX, CTL_F_DESTRUCTIVE, "number", dnd_options,
        dnd_remove, "allow contacts to these people again"),
    CMD("dnd", "check", "NUMBER", 1, 1, 0, "number", region_options, dnd_check,
        "the lists a person stands in; exit 6 when in any"),
    CMD("consent", "grant", "NUMBER", 1, 1, 0, "number", grant_options, consent_grant,
        "record that a person agreed"),
    CMD("consent", "withdraw", "NUMBER", 1, 1, 0, "number", grant_options, consent_withdraw,
        "record that a person took a consent back"),
    CMD("consent", "show", "NUMBER", 1, 1, CTL_F_LIST, "number", consent_show_options, consent_show,
        "consents of a person"),
    CMD("cap", "list", "", 0, 0, CTL_F_LIST, NULL, NULL, cap_list,
        "caps: how often people may be contacted"),
    CMD("cap", "set", "NAME", 1, 1, 0, "cap", cap_options, cap_set, "make or change a cap"),
    CMD("cap", "delete", "CAP", 1, 1, CTL_F_DESTRUCTIVE, "cap", NULL, thing_remove, "delete a cap"),
    CMD("calendar", "list", "", 0, 0, CTL_F_LIST, NULL, NULL, calendar_list,
        "calendars: when people may not be contacted"),
    CMD("calendar", "import", "FILE", 1, 1, 0, "file", import_options, calendar_import,
        "make or replace a calendar from an iCalendar file"),
    CMD("calendar", "quiet", "NAME", 1, 1, 0, "calendar", hours_options, calendar_quiet,
        "make or change a calendar of open hours"),
    CMD("calendar", "show", "CALENDAR", 1, 1, 0, "calendar", calendar_options, calendar_show,
        "what a calendar means in a month"),
    CMD("calendar", "export", "CALENDAR", 1, 1, 0, "calendar", output_options, calendar_export,
        "a calendar as an iCalendar file"),
    CMD("calendar", "delete", "CALENDAR", 1, 1, CTL_F_DESTRUCTIVE, "calendar", NULL, thing_remove,
        "delete a calendar"),
    CMD("route", "list", "", 0, 0, CTL_F_LIST, NULL, NULL, route_list, "routes"),
    CMD("route", "create", "NAME", 1, 1, 0, NULL, route_options, route_create,
        "make a route over a channel instance"),
    CMD("route", "show", "ROUTE", 1, 1, 0, "route", NULL, route_show, "one route"),
    CMD("route", "set", "ROUTE", 1, 1, 0, "route", route_set_options, route_set, "change a route"),
    CMD("route", "pause", "ROUTE", 1, 1, 0, "route", NULL, route_action,
        "hand nothing more to a route"),
    CMD("route", "resume", "ROUTE", 1, 1, 0, "route", NULL, route_action, "use a route again"),
    CMD("route", "drain", "ROUTE", 1, 1, 0, "route", NULL, route_action,
        "let a route finish what it has"),
    CMD("route", "archive", "ROUTE", 1, 1, CTL_F_DESTRUCTIVE, "route", NULL, thing_remove,
        "put a route away"),
    CMD("probe", "list", "", 0, 0, CTL_F_LIST, NULL, NULL, probe_list,
        "routes with their daily test messages"),
    CMD("probe", "show", "ROUTE", 1, 1, 0, "route", NULL, probe_show,
        "the probe of a route and how the last seven ended"),
    CMD("probe", "set", "ROUTE", 1, 1, 0, "route", probe_options, probe_set,
        "send one test message a day over a route"),
    CMD("probe", "remove", "ROUTE", 1, 1, 0, "route", NULL, probe_remove,
        "send no test message over a route any more"),
    CMD("partner", "list", "", 0, 0, CTL_F_LIST, NULL, NULL, partner_list,
        "partners who send through this installation"),
    CMD("partner", "show", "PARTNER", 1, 1, 0, "partner", NULL, partner_show, "one partner"),
    CMD("partner", "create", "NAME", 1, 1, 0, NULL, partner_options, partner_create,
        "make a partner"),
    CMD("partner", "set", "PARTNER", 1, 1, 0, "partner", partner_set_options, partner_set,
        "change a partner"),
    CMD("partner", "archive", "PARTNER", 1, 1, CTL_F_DESTRUCTIVE, "partner", NULL, thing_remove,
        "end a partner: its keys are revoked, nothing of it is sent any more"),
    CMD("settlement", "show", "[PARTNER]", 0, 1, 0, "partner", settlement_options, settlement_show,
        "what was accepted, delivered and failed per route and day"),
    CMD("queue", "list", "", 0, 0, CTL_F_LIST, NULL, NULL, queue_list,
        "queues with this node's numbers"),
    CMD("queue", "pause", "QUEUE", 1, 1, 0, "queue", NULL, queue_action,
        "stop one lane of a route"),
    CMD("queue", "resume", "QUEUE", 1, 1, 0, "queue", NULL, queue_action, "let it go on"),
    CMD("dispatch", "status", "", 0, 0, 0, NULL, NULL, dispatch_status,
        "the switch for everything"),
    CMD("dispatch", "pause", "", 0, 0, 0, NULL, NULL, dispatch_set,
        "stop sending at once, everywhere"),
    CMD("dispatch", "resume", "", 0, 0, 0, NULL, NULL, dispatch_set, "send again"),
    CMD("dispatch", "drain", "", 0, 0, 0, NULL, NULL, dispatch_set,
        "finish what is begun, begin nothing new"),
    CMD("plugin", "list", "", 0, 0, 0, NULL, NULL, plugin_list,
        "plugins and their instances on this node"),
    CMD("plugin", "show", "NAME", 1, 1, 0, "plugin", NULL, plugin_show,
        "one plugin with options and counters"),
    CMD("instance", "list", "", 0, 0, 0, NULL, NULL, instance_list,
        "channel instances of this node"),
    CMD("instance", "restart", "NAME", 1, 1, 0, "instance", NULL, instance_restart,
        "replace the process of an isolated instance, with the plugin file as it is now"),
    {.noun = NULL}};
