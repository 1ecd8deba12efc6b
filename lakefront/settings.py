"""One frozen ``Settings``: the only reader of the environment (prefix ``LAKEFRONT_``; listed in docs/settings.md)."""

from functools import cached_property
from ipaddress import ip_network
from pathlib import Path
from typing import Literal, NamedTuple
from urllib.parse import urlsplit

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

MIB = 1024 * 1024

RATE = r"^[1-9][0-9]{0,4}/(second|minute|hour|day)$"
"""How often something may happen, as a text: ``60/minute``."""

COST_RATE = r"^[1-9][0-9]{0,8}/(second|minute|hour|day)$"
"""How much operations may cost in some time, as a text: ``1000000/minute``."""


PersistedDocuments = Literal["apq", "off", "trusted-only"]


class StreamSettings(BaseModel):
    """What one stream has of its own; what is left out is as for all."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    shards: int | None = Field(None, ge=1, le=64)
    seal_interval: float | None = Field(None, gt=0)
    seal_bytes: int | None = Field(None, ge=1024, le=256 * MIB)
    seal_compression: Literal["gzip", "zstd"] | None = None


class OneStream(NamedTuple):
    """The settings that hold for one stream: its own where it has some. Seconds and bytes."""

    shards: int
    seal_interval: float
    seal_bytes: int
    seal_compression: Literal["gzip", "zstd"]


class Settings(BaseSettings):
    """What an operator may set. Without any setting the server embeds its own PostgreSQL and Redis."""

    model_config = SettingsConfigDict(env_prefix="LAKEFRONT_", frozen=True, extra="ignore")

    data: Path = Field(Path(".lakefront"), description="Folder of embedded parts, keys and local objects.")
    database_url: str | None = Field(
        None,
        validation_alias=AliasChoices("DATABASE_URL", "database_url"),
        description="PostgreSQL to use instead of the embedded one (postgresql://…), by a user that may create roles.",
    )
    redis_url: str | None = Field(
        None,
        validation_alias=AliasChoices("REDIS_URL", "redis_url"),
        description="Redis to use instead of the embedded one (redis://, rediss:// or unix://).",
    )
    object_store_url: str | None = Field(
        None,
        validation_alias=AliasChoices("OBJECT_STORE_URL", "object_store_url"),
        description="Object store for the lake's files (s3://bucket?endpoint=…&region=…&prefix=…, or file:///folder); "
        "the folder objects below the data folder when unset.",
    )
    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level that is logged.")
    log_format: Literal["text", "json"] = Field(
        "text", description="'json': each line an object, with trace_id, error_code and the like as members (C13)."
    )
    pool_size: int = Field(10, ge=2, le=100, description="Connections to PostgreSQL for reading and projecting.")

    token_issuer: str = Field("datapunk-auth", description="Issuer of the server's own tokens (L14).")
    token_audience: str = Field("lakefront", description="Audience of the server's own tokens.")
    token_ttl: int = Field(3600, ge=60, description="Seconds a minted token is valid unless asked otherwise (L14).")
    api_key_ttl: int = Field(
        90 * 86_400, ge=60, le=365 * 86_400, description="Seconds an API key is valid unless asked otherwise (L14)."
    )
    token_cache: int = Field(60, ge=0, le=60, description="Seconds a verified token is remembered.")

    credential_keys: tuple[SecretStr, ...] = Field(
        (),
        description="JSON list of the keys under which credentials of outside systems are encrypted, each 32 random "
        "bytes in base64; the first encrypts, all decrypt. The same on every server. When unset, those of the file "
        "keys/credentials.keys below the data folder, which is made at the first start.",
    )
    loopback_integrations: bool = Field(
        default=False,
        description="Whether outside systems may be at loopback addresses, and there without TLS: for a simulated "
        "city on the same machine, never for a server that strangers are admins of.",
    )
    integration_networks: tuple[str, ...] = Field(
        (),
        description='JSON list of private networks where outside systems may be: ["10.20.0.0/16"]. Elsewhere only '
        "public addresses are called, whatever a name leads to.",
    )

    open_data_interval: float | None = Field(
        None,
        ge=60,
        description="Seconds after which a data set that was imported is imported again: what has changed of it. When "
        "unset, somebody has to ask for each import.",
    )
    outbox_jobs: int = Field(
        16, ge=1, le=256, description="Calls that change something outside, which one server makes at once (C2)."
    )
    outbox_look_up_after: float = Field(
        180.0,
        gt=0,
        description="Seconds after which it is looked up whether a call went through that may have: what an outside "
        "system still works on is not there to be found yet.",
    )
    outbox_retry_for: float = Field(
        300.0, gt=0, description="Seconds of failures after which a job for an outside system is a dead letter (C3)."
    )
    outbox_replay_after: float = Field(
        3600.0, gt=0, description="Seconds after which a dead letter is replayed by itself, where that may help (C12)."
    )
    alert_interval: float = Field(
        15.0, gt=0, le=86_400, description="Seconds between two looks at the rules of alerts (C13)."
    )

    onboarding: Literal["open", "admin"] | None = Field(
        None,
        description="Who may onboard tenants: 'open', whoever reaches the server, at a limited rate; 'admin', the "
        "scope tenants:manage. Open when unset and the server embeds its own PostgreSQL, else admin.",
    )
    shards: int = Field(2, ge=1, le=64, description="Shards of a new stream (P3); an existing stream keeps its own.")
    events_per_second: int = Field(1000, ge=1, description="Ingest quota in events/s for each shard (P6).")
    rate_limits: Literal["on", "off"] = Field(
        "on", description="'off' lifts every rate limit and quota, for load tests."
    )
    rate_limit_user: str = Field(
        "60/minute",
        pattern=RATE,
        description="Requests of one user or key (C11): a number, '/', and second, minute, hour or day.",
    )
    rate_limit_anonymous: str = Field(
        "30/minute",
        pattern=RATE,
        description="Requests of one address that nobody signed in for, failed sign-ins included (C11).",
    )
    rate_limit_lake: str = Field(
        "1000/hour",
        pattern=RATE,
        description="Requests of one user or key for the lake's paths, which count apart from the others.",
    )
    rate_limit_cost: str = Field(
        "1000000/minute",
        pattern=COST_RATE,
        description="Cost of the GraphQL operations of one user or key (L16): as much at once, and again over that "
        "time; at least graphql_max_cost.",
    )
    trusted_proxies: tuple[str, ...] = Field(
        (),
        description='JSON list of the proxies in front, as addresses or networks: ["10.0.0.0/8"]. X-Forwarded-For, '
        "Forwarded and X-Forwarded-Proto are believed from these alone.",
    )
    max_body: int = Field(25 * MIB, ge=1024, description="Largest ingest body in bytes, sent and unpacked (P6).")
    compress_from: int = Field(
        1024,
        ge=0,
        description="Bytes from which on an answer is compressed (br, gzip) where the client accepts it; 0: none.",
    )
    body_budget: int = Field(
        64 * MIB, ge=1024, description="Bytes of large bodies held in memory at once; further ones wait their turn."
    )
    body_timeout: float = Field(30.0, gt=0, description="Seconds within which a request's body must have arrived.")
    seal_interval: float = Field(
        30.0,
        gt=0,
        description="Seconds after which a batch is sealed into the lake (P3), unless its stream has its own.",
    )
    seal_bytes: int = Field(
        25 * MIB,
        ge=1024,
        le=256 * MIB,
        description="Bytes of NDJSON at which a batch is sealed (P3), unless its stream has its own; 256 MiB at most: "
        "the sealer holds a batch in memory several times.",
    )
    seal_compression: Literal["gzip", "zstd"] = Field(
        "gzip", description="How sealed objects are compressed (P3), unless their stream has its own."
    )
    streams: dict[str, StreamSettings] = Field(
        {},
        description='JSON of what single streams have of their own: {"sf-permit-events": {"seal_interval": 5}}; also '
        "seal_bytes, seal_compression, shards.",
    )
    otlp_endpoint: str | None = Field(
        None, description="OTLP/HTTP collector for traces (http://host:4318); traces are off when unset."
    )
    group_rows: int = Field(5000, ge=1, description="Most rows that concurrent appends share in one transaction.")
    max_future: int = Field(
        86_400, ge=0, description="Seconds an event's timestamp may lie ahead of the server's clock."
    )
    follower_buffer: int = Field(
        10_000,
        ge=10,
        description="Events a follower may fall behind before it is LAGGED, as it is after 32 MiB of them.",
    )
    service_request_poll_interval: float = Field(
        3600.0, ge=1, description="Seconds between two questions to a city where an open service request stands (C3)."
    )
    service_request_poll_pause: float = Field(
        0.3, ge=0, description="Seconds between two such questions to one provider of one city (C3)."
    )
    poll_interval: float = Field(1.0, gt=0, description="Seconds between looks at the log when no notice comes.")

    graphql_max_body: int = Field(1 * MIB, ge=1024, description="Largest GraphQL request in bytes.")
    graphql_max_document: int = Field(50_000, ge=1000, description="Largest GraphQL document in bytes.")
    graphql_max_tokens: int = Field(3000, ge=100, description="Most tokens in a document.")
    graphql_max_depth: int = Field(15, ge=3, description="Deepest nesting of fields, fragments counted.")
    graphql_max_aliases: int = Field(50, ge=1, description="Most aliases in a document, fragments counted.")
    graphql_max_fields: int = Field(2000, ge=10, description="Most fields after fragments are spread.")
    plan_cache: int = Field(
        64,
        ge=1,
        le=65_536,
        description="MiB for parsed documents with their plans, as much again for statements, and a quarter of it for "
        "the requests asked most, by their bytes. Documents that are refused have 4 MiB besides.",
    )
    graphql_max_cost: int = Field(
        200_000,
        ge=100,
        validate_default=True,
        description="Most that an operation may cost (L16), by estimate: an object or value is 1, times the rows asked "
        "for around it.",
    )
    graphql_max_directives: int = Field(50, ge=1, description="Most directives in a document.")
    graphql_max_operations: int = Field(10, ge=1, description="Most operations in a document.")
    graphql_max_variables_depth: int = Field(32, ge=4, description="Deepest nesting of JSON in variables.")
    persisted_documents: PersistedDocuments = Field(
        "apq",
        description="Which GraphQL documents are taken (L16): 'apq', all, those that are trusted or that a client of "
        "the tenant registered by their SHA-256 alone, too; 'off', all, trusted ones as well by their text alone; "
        "'trusted-only', those alone that `lakefront documents sync` stored.",
    )
    persisted_documents_by_role: dict[str, PersistedDocuments] = Field(
        {},
        description='JSON of what holds for single roles instead: {"citizen": "trusted-only"}. Whoever has several of '
        "them gets the freest: apq, off, trusted-only.",
    )
    persisted_documents_ttl: int = Field(
        86_400, ge=60, description="Seconds after its last use for which a document that a client registered is kept."
    )
    forbidden_fields: Literal["refuse", "null"] = Field(
        "refuse",
        description="What becomes of an operation with a field that its actor may not see: it is refused before it "
        "runs, or, where such fields below the root may be null, they are null with a FORBIDDEN error each.",
    )
    graphql_timeout: float = Field(30.0, gt=0, description="Seconds an operation may run.")
    graphql_concurrency: int = Field(100, ge=1, description="Operations that run at once; further ones wait.")
    sockets: int = Field(100, ge=1, description="WebSockets of one user at once.")
    socket_operations: int = Field(100, ge=1, description="Subscriptions at once on one WebSocket.")
    socket_init_timeout: float = Field(
        10.0, gt=0, description="Seconds within which a WebSocket must send connection_init."
    )
    socket_send_timeout: float = Field(
        30.0, gt=0, description="Seconds for which a WebSocket or an event stream may take nothing at all."
    )
    sse_heartbeat: float = Field(
        15.0, gt=0, le=3600, description="Seconds of silence after which an event stream tells its cursor in a comment."
    )
    sse_streams: int = Field(100, ge=1, description="Event streams (SSE) of one user at once.")
    allowed_origins: tuple[str, ...] = Field(
        (),
        description="JSON list of origins (https://app.example) besides the server's own that may use GraphQL.",
    )
    allowed_hosts: tuple[str, ...] = Field(
        (),
        description='JSON list of names under which the server answers: ["lake.example"]. Besides them: localhost, the '
        "address it listens on and, where that is not a loopback address, any address in place of a name. A proxy in "
        'front passes the name on; ["*"] leaves the check to it.',
    )

    @field_validator("otlp_endpoint")
    @classmethod
    def _is_url(cls, endpoint: str | None) -> str | None:
        if endpoint is not None:
            try:
                parts = urlsplit(endpoint)
                valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
            except ValueError:
                valid = False
            if not valid:
                raise ValueError("Give the collector's URL with its scheme and host: http://collector:4318")
        return endpoint

    @field_validator("graphql_max_cost")
    @classmethod
    def _is_within_the_rate(cls, most: int, info: ValidationInfo) -> int:
        rate = info.data.get("rate_limit_cost")
        if rate is not None and int(rate.partition("/")[0]) < most:
            raise ValueError(f"Operations past rate_limit_cost ({rate}) could never run: raise that, or lower this")
        return most

    @field_validator("trusted_proxies", "integration_networks")
    @classmethod
    def _are_networks(cls, proxies: tuple[str, ...]) -> tuple[str, ...]:
        for proxy in proxies:
            try:
                ip_network(proxy)
            except ValueError:
                raise ValueError("Give addresses and networks (10.0.0.0/8, 192.0.2.1, 2001:db8::/32)") from None
        return proxies

    @cached_property
    def embedded_postgres(self) -> bool:
        """Whether the server starts its own PostgreSQL."""
        return self.database_url is None

    @cached_property
    def embedded_redis(self) -> bool:
        """Whether the server starts its own Redis: only beside its own PostgreSQL."""
        return self.redis_url is None and self.embedded_postgres

    @property
    def onboarding_open(self) -> bool:
        """Whether tenants are onboarded without a token (T1, T2)."""
        return self.onboarding == "open" or (self.onboarding is None and self.embedded_postgres)

    @property
    def limits_on(self) -> bool:
        """Whether rate limits and quotas hold."""
        return self.rate_limits == "on"

    def stream(self, name: str) -> OneStream:
        """What holds for the stream ``name``."""
        own = self.streams.get(name, StreamSettings())
        values = {field: getattr(self, field) for field in OneStream._fields}
        return OneStream(**values | own.model_dump(exclude_none=True))
