"""From a role and a name to a spec, and from a spec to an object."""

from __future__ import annotations

import functools
import pkgutil
import threading
from types import TracebackType
from typing import Any, Literal, overload

from kdcore.candidates import describe_error
from kdcore.errors import KDError, ParameterError, PluginError, suggest
from kdcore.hints import unknown_name
from kdcore.loading import HOOKS
from kdcore.plugins import Discovery, PluginInfo, discover
from kdcore.specs import ROLES, LossSpec, SelectorSpec, Spec, StudentSpec, TeacherSpec

__all__ = ["ROLES", "Registration", "Registry", "default_registry", "register"]

# functools.cache alone could make two registries for two threads.
_ONE_AT_A_TIME = threading.Lock()

_IN_PROCESS = PluginInfo(name="in-process", distribution="kdcore.register", version="")


class Registration:
    """What `Registry.register` returns: undo it by `unregister`, or by leaving a ``with`` block."""

    def __init__(self, registry: Registry, spec: Spec) -> None:
        self._registry = registry
        self.spec = spec

    def unregister(self) -> None:
        """Take the spec out again; a second call does nothing."""
        self._registry._forget(self.spec)

    def __enter__(self) -> Registration:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.unregister()

    def __repr__(self) -> str:
        return f"<Registration of {self.spec.role} '{self.spec.name}'>"


class Registry:
    """The teachers, students, losses and selectors that can be used by name.

    Parameters
    ----------
    discovery : Discovery, optional
        What plugins provide. By default they are discovered on first use, once.
    """

    def __init__(self, discovery: Discovery | None = None) -> None:
        self._discovery = discovery
        self._discovering = False
        self._added: dict[tuple[str, str], Spec] = {}
        self._lock = threading.RLock()

    @property
    def discovery(self) -> Discovery:
        """What the installed plugins provide.

        Raises
        ------
        PluginError
            When a plugin asks for it while it is being loaded, and with ``KD_STRICT_PLUGINS=1``
            when any plugin fails.
        """
        with self._lock:
            if self._discovery is None:
                if self._discovering:
                    raise PluginError(
                        "The registry was used while plugins are being loaded; a plugin must "
                        "yield its specs from hooks and look nothing up on import."
                    )
                self._discovering = True
                try:
                    self._discovery = discover()
                finally:
                    self._discovering = False
            return self._discovery

    @property
    def plugins(self) -> tuple[PluginInfo, ...]:
        """Every installed plugin, the unusable ones with a reason, by name and distribution."""
        return self.discovery.plugins

    @overload
    def specs(self, role: Literal["teacher"]) -> dict[str, TeacherSpec]: ...
    @overload
    def specs(self, role: Literal["student"]) -> dict[str, StudentSpec]: ...
    @overload
    def specs(self, role: Literal["loss"]) -> dict[str, LossSpec]: ...
    @overload
    def specs(self, role: Literal["selector"]) -> dict[str, SelectorSpec]: ...
    @overload
    def specs(self, role: str) -> dict[str, Spec]: ...
    def specs(self, role: str) -> Any:
        """Return the specs of one role by name, sorted.

        Raises
        ------
        ParameterError
            When there is no such role.
        """
        _require_role(role)
        with self._lock:
            found = {key: spec for key, (spec, _) in self.discovery.provided.items()}
            found |= self._added
        return {name: found[kind, name] for kind, name in sorted(found) if kind == role}

    @overload
    def get(self, role: Literal["teacher"], name: str) -> TeacherSpec: ...
    @overload
    def get(self, role: Literal["student"], name: str) -> StudentSpec: ...
    @overload
    def get(self, role: Literal["loss"], name: str) -> LossSpec: ...
    @overload
    def get(self, role: Literal["selector"], name: str) -> SelectorSpec: ...
    @overload
    def get(self, role: str, name: str) -> Spec: ...
    def get(self, role: str, name: str) -> Any:
        """Return one spec.

        Raises
        ------
        ParameterError
            When there is no such role.
        UnknownNameError
            When there is no such name. The message gives the reason where a plugin that should
            provide it is unusable, the command that installs it, or the nearest known name.
        """
        return self._find(role, name)[0]

    def provider(self, role: str, name: str) -> PluginInfo:
        """Return the plugin that provides a name.

        Raises
        ------
        ParameterError, UnknownNameError
            As `get`.
        """
        return self._find(role, name)[1]

    def resolve(self, role: str, name: str, field: str = "factory") -> Any:
        """Import what a spec points to, without calling it.

        Parameters
        ----------
        role, name : str
        field : {"factory", "loader", "restore"}, default="factory"
            Which dotted name of the spec.

        Raises
        ------
        PluginError
            When it cannot be imported or is not callable; names the plugin and its distribution.
        ParameterError, UnknownNameError
            As `get`, and when the spec has no such dotted name.
        """
        spec, plugin = self._find(role, name)
        target = getattr(spec, field, None)
        if field not in ("factory", "loader", "restore") or not isinstance(target, str):
            raise ParameterError(f"The {role} '{name}' has no {field!r} to import.")
        try:
            found = pkgutil.resolve_name(target)
        except (Exception, SystemExit) as error:
            raise PluginError(
                f"The {role} '{name}' of {plugin} cannot be imported from {target} "
                f"({describe_error(error)}). {_advice(plugin)}"
            ) from error
        if not callable(found):
            raise PluginError(
                f"The {role} '{name}' of {plugin} has the {field} {target}, which cannot be "
                f"called. {_advice(plugin)}"
            )
        return found

    def create(self, role: str, name: str, /, *args: Any, **kwargs: Any) -> Any:
        """Return a new object from a spec's factory.

        Parameters
        ----------
        role, name : str
        *args, **kwargs
            Passed to the factory: the task for teachers and students, parameters for losses and
            selectors.

        Raises
        ------
        KDError
            Whatever the factory says of its arguments.
        PluginError
            When the factory cannot be imported or fails otherwise; names the plugin and its
            distribution.
        ParameterError, UnknownNameError
            As `get`.
        """
        factory, plugin = self.resolve(role, name), self.provider(role, name)
        try:
            return factory(*args, **kwargs)
        except KDError:
            raise
        except (Exception, SystemExit) as error:
            raise PluginError(
                f"The {role} '{name}' of {plugin} cannot be made ({describe_error(error)}). "
                f"Check its parameters, or tell the authors of {plugin.distribution}."
            ) from error

    def register(self, spec: Spec, *, replace: bool = False) -> Registration:
        """Add a spec in this process, for instance from a notebook.

        Parameters
        ----------
        spec : TeacherSpec, StudentSpec, LossSpec or SelectorSpec
        replace : bool, default=False
            Whether to take the place of an earlier registration of that name. What a plugin
            provides is never replaced.

        Returns
        -------
        Registration
            Call its ``unregister()``, or use it in a ``with`` statement, to undo.

        Raises
        ------
        ParameterError
            When ``spec`` is none of the four specs, or the name is taken.
        """
        if not isinstance(spec, tuple(HOOKS.values())):
            given = f"the class {spec.__name__}" if isinstance(spec, type) else repr(spec)
            raise ParameterError(
                f"register() got {given}; give it one of "
                f"{', '.join(kind.__name__ for kind in HOOKS.values())}, built with its fields."
            )
        key = (spec.role, spec.name)
        with self._lock:
            taken = self.discovery.provided.get(key)
            if taken is not None:
                raise ParameterError(
                    f"The {spec.role} '{spec.name}' is provided by {taken[1]} already; "
                    "choose another name."
                )
            if key in self._added and not replace:
                raise ParameterError(
                    f"The {spec.role} '{spec.name}' is registered already; choose another name, "
                    "or use register(spec, replace=True)."
                )
            self._added[key] = spec
        return Registration(self, spec)

    def _forget(self, spec: Spec) -> None:
        with self._lock:
            # A registration that was replaced must not remove its successor.
            if self._added.get((spec.role, spec.name)) is spec:
                del self._added[spec.role, spec.name]

    def _find(self, role: str, name: str) -> tuple[Spec, PluginInfo]:
        _require_role(role)
        if not isinstance(name, str):
            raise ParameterError(f"The name of a {role} is text, not {name!r}.")
        with self._lock:
            if (role, name) in self._added:
                return self._added[role, name], _IN_PROCESS
            found = self.discovery.provided.get((role, name))
            if found is None:
                known = {kind: list(self.specs(kind)) for kind in ROLES}
                raise unknown_name(role, name, known, self.discovery)
            return found


def default_registry() -> Registry:
    """Return the registry of this process; plugins are discovered when it is first asked."""
    with _ONE_AT_A_TIME:
        return _process_registry()


@functools.cache
def _process_registry() -> Registry:
    return Registry()


def register(spec: Spec, *, replace: bool = False) -> Registration:
    """Add a spec to the registry of this process; see `Registry.register`."""
    return default_registry().register(spec, replace=replace)


def _require_role(role: str) -> None:
    if role not in ROLES:
        raise ParameterError(
            f"role={role!r} is not valid; use one of {', '.join(ROLES)}.{suggest(str(role), ROLES)}"
        )


def _advice(plugin: PluginInfo) -> str:
    if plugin is _IN_PROCESS:
        return "Correct the spec that was registered."
    return f"Reinstall {plugin.distribution}, or see `kd plugins --check`."
