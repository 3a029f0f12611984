/* SPDX-License-Identifier: Apache-2.0 */
/* phone_lib.cc - see phone_lib.h. The only C++ file of the gateway; no exception and no C++ type
 * leaves it. Source: libphonenumber's phonenumberutil.h and phonemetadata.proto. */
#include "address/phone_lib.h"

#include "address/address.h"

#include <phonenumbers/phonemetadata.pb.h>
#include <phonenumbers/phonenumberutil.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace i18n
{
namespace phonenumbers
{
/* The library carries its numbering plans as one serialised PhoneMetadataCollection behind these
 * two functions. They are in the shared object but in no installed header: weak, so that a build of
 * the library without them costs speed and nothing else. */
extern int metadata_size() __attribute__((weak));
extern const void *metadata_get() __attribute__((weak));
} // namespace phonenumbers
} // namespace i18n

namespace
{

using i18n::phonenumbers::PhoneMetadata;
using i18n::phonenumbers::PhoneMetadataCollection;
using i18n::phonenumbers::PhoneNumber;
using i18n::phonenumbers::PhoneNumberDesc;
using i18n::phonenumbers::PhoneNumberUtil;

uint8_t line_of(PhoneNumberUtil::PhoneNumberType type)
{
    switch (type) {
    case PhoneNumberUtil::MOBILE:
        return ADDRESS_LINE_MOBILE;
    case PhoneNumberUtil::FIXED_LINE:
        return ADDRESS_LINE_FIXED;
    case PhoneNumberUtil::FIXED_LINE_OR_MOBILE:
        return ADDRESS_LINE_FIXED_OR_MOBILE;
    default:
        return ADDRESS_LINE_OTHER;
    }
}

int fault_of_parse(PhoneNumberUtil::ErrorType e)
{
    switch (e) {
    case PhoneNumberUtil::NO_PARSING_ERROR:
        return ADDRESS_OK;
    case PhoneNumberUtil::INVALID_COUNTRY_CODE_ERROR:
        return ADDRESS_UNKNOWN_COUNTRY;
    case PhoneNumberUtil::TOO_SHORT_AFTER_IDD:
    case PhoneNumberUtil::TOO_SHORT_NSN:
        return ADDRESS_TOO_SHORT;
    case PhoneNumberUtil::TOO_LONG_NSN:
        return ADDRESS_TOO_LONG;
    default:
        return ADDRESS_LETTERS;
    }
}

int fault_of_length(PhoneNumberUtil::ValidationResult r)
{
    switch (r) {
    case PhoneNumberUtil::TOO_SHORT:
    case PhoneNumberUtil::IS_POSSIBLE_LOCAL_ONLY:
        return ADDRESS_TOO_SHORT;
    case PhoneNumberUtil::TOO_LONG:
        return ADDRESS_TOO_LONG;
    case PhoneNumberUtil::INVALID_COUNTRY_CODE:
        return ADDRESS_UNKNOWN_COUNTRY;
    default:
        return ADDRESS_NOT_VALID;
    }
}

int fill(const PhoneNumberUtil &util, const PhoneNumber &number, struct phone_number *ret)
{
    std::string text, region;
    util.Format(number, PhoneNumberUtil::E164, &text);
    util.GetRegionCodeForNumber(number, &region);
    if (text.size() >= sizeof ret->e164)
        return ADDRESS_TOO_LONG;
    memset(ret, 0, sizeof *ret);
    memcpy(ret->e164, text.data(), text.size());
    if (region.size() == 2 && region != "ZZ")
        memcpy(ret->region, region.data(), 2);
    ret->line = line_of(util.GetNumberType(number));
    return ADDRESS_OK;
}

/* ---- plans
 * ----------------------------------------------------------------------------------------------------------------
 */

struct plan_store {
    PhoneMetadataCollection data;
    std::vector<std::unique_ptr<phone_plan>> plans;
    std::map<uint32_t, std::vector<const phone_plan *>> by_code;
};

void set_desc(phone_plan *p, int which, const PhoneNumberDesc &d, const PhoneNumberDesc &general)
{
    p->pattern[which] = d.national_number_pattern().c_str();
    uint32_t bits = 0;
    for (int n : d.possible_length())
        if (n > 0 && n < 32)
            bits |= 1u << n;
    /* "-1" means that no number of this kind exists; the general lengths stand for an absent list
     */
    if (d.possible_length_size() == 1 && d.possible_length(0) == -1)
        p->pattern[which] = nullptr;
    if (!bits)
        for (int n : general.possible_length())
            if (n > 0 && n < 32)
                bits |= 1u << n;
    p->lengths[which] = bits;
}

void add_plan(plan_store *s, const PhoneMetadata &m)
{
    std::unique_ptr<phone_plan> p(new phone_plan());
    p->region = m.id().c_str();
    p->country_code = static_cast<uint32_t>(m.country_code());
    const PhoneNumberDesc *descs[PHONE_DESCS] = {
        &m.general_desc(), &m.premium_rate(),    &m.toll_free(), &m.shared_cost(),
        &m.voip(),         &m.personal_number(), &m.pager(),     &m.uan(),
        &m.voicemail(),    &m.fixed_line(),      &m.mobile(),
    };
    for (int i = 0; i < PHONE_DESCS; i++)
        set_desc(p.get(), i, *descs[i], m.general_desc());
    p->fixed_is_mobile = m.same_mobile_and_fixed_line_pattern();
    p->leading_digits = m.leading_digits().c_str();
    p->national_prefix_parse = m.national_prefix_for_parsing().c_str();
    p->national_transform = m.national_prefix_transform_rule().c_str();
    p->international_prefix = m.international_prefix().c_str();
    std::vector<const phone_plan *> &list = s->by_code[p->country_code];
    if (m.main_country_for_code())
        list.insert(list.begin(), p.get());
    else
        list.push_back(p.get());
    s->plans.push_back(std::move(p));
}

const plan_store *load_plans()
{
    if (!i18n::phonenumbers::metadata_get || !i18n::phonenumbers::metadata_size)
        return nullptr;
    std::unique_ptr<plan_store> s(new plan_store());
    if (!s->data.ParseFromArray(i18n::phonenumbers::metadata_get(),
                                i18n::phonenumbers::metadata_size()))
        return nullptr;
    for (const PhoneMetadata &m : s->data.metadata())
        add_plan(s.get(), m);
    return s.release(); /* lives as long as the process, like the library's own copy */
}

const plan_store *plans()
{
    static const plan_store *const s = load_plans();
    return s;
}

} // namespace

int phone_lib_parse(const char *text, size_t len, const char *default_region,
                    struct phone_number *ret)
try {
    const PhoneNumberUtil &util = *PhoneNumberUtil::GetInstance();
    PhoneNumber number;
    const std::string region = default_region && *default_region ? default_region : "ZZ";
    int fault = fault_of_parse(util.Parse(std::string(text, len), region, &number));
    if (fault != ADDRESS_OK)
        return fault;
    if (!util.IsValidNumber(number))
        return fault_of_length(util.IsPossibleNumberWithReason(number));
    return fill(util, number, ret);
} catch (...) {
    return ADDRESS_NOT_VALID;
}

bool phone_lib_region_known(const char *region)
{
    return phone_lib_country_code(region) != 0;
}

uint32_t phone_lib_country_code(const char *region)
try {
    return static_cast<uint32_t>(PhoneNumberUtil::GetInstance()->GetCountryCodeForRegion(region));
} catch (...) {
    return 0;
}

bool phone_lib_example(const char *region, struct phone_number *ret)
try {
    const PhoneNumberUtil &util = *PhoneNumberUtil::GetInstance();
    PhoneNumber number;
    return util.GetExampleNumberForType(region, PhoneNumberUtil::MOBILE, &number) &&
           fill(util, number, ret) == ADDRESS_OK;
} catch (...) {
    return false;
}

uint32_t phone_lib_plans(uint32_t country_code, const struct phone_plan *const **ret)
try {
    *ret = nullptr;
    const plan_store *s = plans();
    if (!s)
        return 0;
    auto it = s->by_code.find(country_code);
    if (it == s->by_code.end())
        return 0;
    *ret = it->second.data();
    return static_cast<uint32_t>(it->second.size());
} catch (...) {
    return 0;
}
