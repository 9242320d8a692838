"""From a device of the platform to the configuration files of a phone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from realmkit.errors import InputError
from realmkit.phones import catalog, model
from realmkit.phones.render import Renderer

if TYPE_CHECKING:
    from realmkit.config import PhonesEntry, Project
    from realmkit.kazoo.documents import Device
    from realmkit.migrate.plan import Phone
    from realmkit.phones.catalog import Catalog
    from realmkit.phones.model import File, Model


class Configs:
    """Knows a project's phones and renders them.

    Args:
        project: its configuration and its own templates.
        timezone: the account's.
    """

    def __init__(self, project: Project, timezone: str) -> None:
        overlay = project.directory / (project.config.phones.templates if project.config.phones else "templates")
        self._settings = project.config.phones
        self._timezone = timezone
        self.catalog: Catalog = catalog.load(overlay)
        self._renderer = Renderer(self.catalog, overlay)

    def model_of(self, device: Device, explicit: str | None, user_agent: str | None) -> Model:
        """A device's model. Raises NoModelError when nothing says which it is."""
        return self.catalog.identify(
            explicit=explicit, brand=device.brand, family=device.family, model=device.model,
            user_agent=user_agent, mac=device.mac,
        )  # fmt: skip

    def __call__(self, phone: Phone, device: Device, realm: str) -> tuple[File, ...]:
        """The files of a phone for a realm, with the password that the platform has at this moment.

        Raises:
            InputError: the device can't be rendered.
        """
        if phone.model is None or phone.mac is None:
            raise InputError(f"{phone.name}: its model or its MAC address is not known")
        settings = _settings(self._settings)
        line = model.Line(
            username=device.username, auth_id=device.username, password=device.password, realm=realm,
            display_name=device.name, expires=settings.expires, transport=settings.transport,
        )  # fmt: skip
        return self._renderer.render(model.Phone(
            mac=phone.mac, model=self.catalog.models[phone.model], name=phone.name, lines=(line,),
            url=settings.url, ntp=settings.ntp, timezone=self._timezone,
        ))  # fmt: skip


def _settings(entry: PhonesEntry | None) -> PhonesEntry:
    if entry is None:
        raise InputError("nothing is known about phones", hint="add phones: {publish: ...} to realmkit.yml")
    return entry
