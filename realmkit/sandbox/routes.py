"""Which path of Crossbar leads to which resource."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from realmkit.sandbox import activity, resources

if TYPE_CHECKING:
    from collections.abc import Sequence

    from realmkit.sandbox.handling import Handler

ROUTES: Final[Sequence[tuple[str, dict[str, Handler]]]] = (
    ("api_auth", {"PUT": resources.log_in}),
    ("search", {"GET": resources.search}),
    ("search/multi", {"GET": resources.search_multi}),
    ("accounts", {"PUT": resources.create_account}),
    (
        "accounts/{account}",
        {
            "GET": resources.account,
            "POST": resources.save_account,
            "PATCH": resources.save_account,
            "PUT": resources.create_account,
        },
    ),
    ("accounts/{account}/api_key", {"GET": resources.api_key}),
    ("accounts/{account}/children", {"GET": resources.children}),
    ("accounts/{account}/descendants", {"GET": resources.descendants}),
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
