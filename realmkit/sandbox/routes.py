"""Which path of Crossbar leads to which resource."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from realmkit.sandbox import accounts, activity, brand, domains, furnishing, money, resources

if TYPE_CHECKING:
    from collections.abc import Sequence

    from realmkit.sandbox.handling import Handler

    Routes = Sequence[tuple[str, dict[str, Handler]]]

_ACCOUNTS: Final[Routes] = (
    ("api_auth", {"PUT": accounts.log_in}),
    ("user_auth", {"PUT": accounts.log_in_as_user}),
    ("search", {"GET": accounts.search}),
    ("search/multi", {"GET": accounts.search_multi}),
    ("accounts", {"PUT": accounts.create_account}),
    (
        "accounts/{account}",
        {
            "GET": accounts.account,
            "POST": accounts.save_account,
            "PATCH": accounts.save_account,
            "PUT": accounts.create_account,
            "DELETE": accounts.delete_account,
        },
    ),
    ("accounts/{account}/api_key", {"GET": accounts.api_key}),
    ("accounts/{account}/children", {"GET": accounts.children}),
    ("accounts/{account}/descendants", {"GET": accounts.descendants}),
    ("accounts/{account}/siblings", {"GET": accounts.siblings}),
    ("accounts/{account}/parents", {"GET": accounts.parents}),
    ("accounts/{account}/tree", {"GET": accounts.parents}),
)

_PHONES: Final[Routes] = (
    ("accounts/{account}/devices", {"GET": resources.devices, "PUT": resources.create_device}),
    ("accounts/{account}/devices/status", {"GET": activity.device_status}),
    (
        "accounts/{account}/devices/{id}",
        {
            "GET": resources.device,
            "POST": resources.save_device,
            "PATCH": resources.save_device,
            "PUT": resources.device_action,
            "DELETE": resources.delete_device,
        },
    ),
    ("accounts/{account}/devices/{id}/sync", {"POST": resources.sync_device}),
    ("accounts/{account}/devices/{id}/channels", {"GET": activity.channels}),
    ("accounts/{account}/registrations", {"GET": activity.registrations, "DELETE": activity.flush_registrations}),
    ("accounts/{account}/registrations/count", {"GET": activity.count_registrations}),
    ("accounts/{account}/registrations/{id}", {"DELETE": activity.flush_registration}),
    ("accounts/{account}/channels", {"GET": activity.channels}),
    ("accounts/{account}/cdrs", {"GET": activity.cdrs}),
    ("accounts/{account}/connectivity", {"GET": resources.connectivity_listing, "PUT": resources.create_connectivity}),
    (
        "accounts/{account}/connectivity/{id}",
        {"GET": resources.connectivity, "POST": resources.save_connectivity, "PATCH": resources.save_connectivity},
    ),
    ("accounts/{account}/faxboxes", {"GET": resources.fax_boxes, "PUT": resources.create_fax_box}),
    (
        "accounts/{account}/faxboxes/{id}",
        {"GET": resources.fax_box, "POST": resources.save_fax_box, "PATCH": resources.save_fax_box},
    ),
)

_FURNISHING: Final[Routes] = (
    ("accounts/{account}/users", {"GET": furnishing.users, "PUT": furnishing.create_user}),
    (
        "accounts/{account}/users/{id}",
        {
            "GET": furnishing.user,
            "POST": furnishing.save_user,
            "PATCH": furnishing.save_user,
            "DELETE": furnishing.delete_user,
        },
    ),
    ("accounts/{account}/callflows", {"GET": furnishing.callflows, "PUT": furnishing.create_callflow}),
    (
        "accounts/{account}/callflows/{id}",
        {
            "GET": furnishing.callflow,
            "POST": furnishing.save_callflow,
            "PATCH": furnishing.save_callflow,
            "DELETE": furnishing.delete_callflow,
        },
    ),
    ("accounts/{account}/apps_store", {"GET": furnishing.apps}),
    ("accounts/{account}/apps_store/blacklist", {"GET": furnishing.blacklist, "POST": furnishing.save_blacklist}),
    ("accounts/{account}/phone_numbers/classifiers", {"GET": furnishing.classifiers}),
    ("phone_numbers/classifiers", {"GET": furnishing.classifiers}),
)

_MONEY: Final[Routes] = (
    ("accounts/{account}/limits", {"GET": money.limits, "POST": money.save_limits, "PATCH": money.save_limits}),
    ("accounts/{account}/ledgers", {"GET": money.summary}),
    ("accounts/{account}/ledgers/credit", {"PUT": money.pay_in}),
    ("accounts/{account}/ledgers/debit", {"PUT": money.pay_out}),
    ("accounts/{account}/ledgers/total", {"GET": money.total}),
    ("accounts/{account}/ledgers/{id}", {"GET": money.ledger}),
    ("accounts/{account}/services", {"GET": money.services, "POST": money.change_services}),
    ("accounts/{account}/services/available", {"GET": money.available}),
)

_BRAND: Final[Routes] = (
    (
        "accounts/{account}/whitelabel",
        {
            "GET": brand.document,
            "PUT": brand.create,
            "POST": brand.save,
            "PATCH": brand.save,
            "DELETE": brand.delete,
        },
    ),
    ("accounts/{account}/whitelabel/domains", {"GET": domains.required, "POST": domains.test}),
    ("accounts/{account}/whitelabel/emails", {"GET": brand.senders, "PUT": brand.add_sender}),
    (
        "accounts/{account}/whitelabel/emails/{id}",
        {"GET": brand.sender, "POST": brand.save_sender, "DELETE": brand.delete_sender},
    ),
    ("accounts/{account}/whitelabel/emails/{id}/verify", {"POST": brand.verify_sender}),
    ("accounts/{account}/whitelabel/{upload}", {"GET": brand.download, "POST": brand.upload}),
    ("whitelabel/domains", {"GET": domains.required_of_anybody, "POST": domains.save_template}),
    ("whitelabel/{domain}", {"GET": brand.public}),
    ("whitelabel/{domain}/{upload}", {"GET": brand.public_download}),
)

ROUTES: Final[Routes] = (*_ACCOUNTS, *_PHONES, *_FURNISHING, *_MONEY, *_BRAND)
"""The first that fits a path is taken."""

LOGINS: Final = frozenset({accounts.log_in, accounts.log_in_as_user})
"""What costs the tokens of a login."""

PUBLIC: Final = LOGINS | {brand.public, brand.public_download}
"""What needs no login."""
