// PostGraphile 5 as fast as it goes: grafserv on node's own HTTP server, no watching, no GraphiQL, no explaining, no
// web sockets, answers as text straight from the executor, statements prepared. The tenant goes to PostgreSQL with each
// request, as its own documentation has it for row security: pgSettings. NODE_ENV and GRAPHILE_ENV are "production".
import { createServer } from "node:http";
import { PgAggregatesPreset } from "@graphile/pg-aggregates";
import { grafserv } from "grafserv/node";
import { postgraphile } from "postgraphile";
import { makePgService } from "postgraphile/adaptors/pg";
import { PostGraphileAmberPreset } from "postgraphile/presets/amber";
import { makeJSONPgSmartTagsPlugin } from "postgraphile/utils";

const { BENCH_DSN, BENCH_PORT, BENCH_POOL, BENCH_TENANT } = process.env;
const pgSettings = { "lakefront.tenant": BENCH_TENANT };

// The log has no foreign key, as it outlives what it tells of; a smart tag says what PostGraphile would read from one.
const relations = makeJSONPgSmartTagsPlugin({
  version: 1,
  config: {
    class: {
      "lakefront.events": {
        tags: {
          foreignKey:
            "(tenant_id, partition_key) references lakefront.permits (tenant_id, permit_id)|@foreignFieldName events|@fieldName permit",
        },
      },
    },
  },
});

// Its aggregates count distinct values alone, which sorts; a plain count is what the others do.
const count = {
  name: "BenchCountPlugin",
  version: "1.0.0",
  after: ["PgAggregatesSpecsPlugin"],
  schema: {
    hooks: {
      build(build) {
        const { sql, dataplanPg } = build;
        build.pgAggregateSpecs.push({
          id: "count",
          humanLabel: "count",
          HumanLabel: "Count",
          isSuitableType: () => true,
          sqlAggregateWrap: (column) => sql`count(${column})`,
          pgTypeCodecModifier: () => dataplanPg.TYPES.bigint,
        });
        return build;
      },
    },
  },
};

const instance = postgraphile({
  extends: [PostGraphileAmberPreset, PgAggregatesPreset],
  plugins: [relations, count],
  schema: { defaultBehavior: "+list +connection" },
  grafast: { context: { pgSettings }, explain: false },
  grafserv: { graphiql: false, watch: false, websockets: false, graphqlOverGET: false, outputDataAsString: true },
  pgServices: [
    makePgService({
      connectionString: BENCH_DSN,
      schemas: ["lakefront"],
      poolConfig: { max: Number(BENCH_POOL) },
      pubsub: false,
    }),
  ],
});

const server = createServer();
await instance.createServ(grafserv).addTo(server);
server.listen(Number(BENCH_PORT), "127.0.0.1");
