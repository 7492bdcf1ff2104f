// The servers that the tests of this folder run against: oidc-provider with a configuration of our own, and a resource server
// that looks its tokens up in the provider's store.
//
// One argument, JSON: `store`, a folder that outlives the process (memory, without it), and `port`, the issuer's (any, without).
// Prints one line of JSON when both listen, and ends when its standard input does.
import { createHash, generateKeyPairSync, randomUUID } from 'node:crypto';
import { mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';

import Provider from 'oidc-provider';

const options = JSON.parse(process.argv[2] ?? '{}');
const MFA = 'urn:test:acr:mfa';
const REDIRECT = 'https://app.test/callback';

// ---- Store

class Memory {
  #records = new Map();
  get(key) { return structuredClone(this.#records.get(key)); }
  set(key, value) { this.#records.set(key, structuredClone(value)); }
  delete(key) { this.#records.delete(key); }
  entries() { return [...this.#records]; }
}

// One file a record, each replaced in one step, since two processes may share the folder.
class Folder {
  constructor(path) {
    this.path = path;
    mkdirSync(path, { recursive: true });
  }
  #file(key) { return join(this.path, `${createHash('sha256').update(key).digest('hex')}.json`); }
  #read(file) {
    try {
      return JSON.parse(readFileSync(file, 'utf8'));
    } catch (error) {
      if (error.code === 'ENOENT') return undefined;
      throw error;
    }
  }
  get(key) { return this.#read(this.#file(key))?.[1]; }
  set(key, value) {
    const temporary = join(this.path, randomUUID());
    writeFileSync(temporary, JSON.stringify([key, value]));
    renameSync(temporary, this.#file(key));
  }
  delete(key) { rmSync(this.#file(key), { force: true }); }
  entries() {
    const files = readdirSync(this.path).filter((name) => name.endsWith('.json'));
    return files.map((name) => this.#read(join(this.path, name))).filter(Boolean);
  }
}

const store = options.store ? new Folder(options.store) : new Memory();

class Adapter {
  constructor(model) { this.prefix = `${model}:`; }
  #own() { return store.entries().filter(([key]) => key.startsWith(this.prefix)); }
  async upsert(id, payload) { store.set(this.prefix + id, payload); }
  async find(id) { return store.get(this.prefix + id); }
  async findByUid(uid) { return this.#own().find(([, payload]) => payload.uid === uid)?.[1]; }
  async destroy(id) { store.delete(this.prefix + id); }
  async consume(id) {
    store.set(this.prefix + id, { ...store.get(this.prefix + id), consumed: Math.floor(Date.now() / 1000) });
  }
  async revokeByGrantId(grantId) {
    for (const [key, payload] of this.#own()) if (payload.grantId === grantId) store.delete(key);
  }
}

// ---- Authorization server

const program = (client_id, client_secret, more) => ({
  client_id,
  client_secret,
  grant_types: ['client_credentials'],
  response_types: [],
  redirect_uris: [],
  token_endpoint_auth_method: 'client_secret_basic',
  ...more,
});

const app = (client_id, more) => ({
  client_id,
  grant_types: ['authorization_code', 'refresh_token'],
  response_types: ['code'],
  redirect_uris: [REDIRECT],
  ...more,
});

const clients = [
  program('basic', 'basic-secret'),
  program('post', 'post-secret', { token_endpoint_auth_method: 'client_secret_post' }),
  // What RFC 6749 section 2.3.1 has to be encoded, and a `%41`, which one decoding too many turns into an `A`.
  program('my: app+%', 's:e c+r%41&=?/"\\~'),
  // In a header that is not encoded, this is `aA b`.
  program('plain', 'a%41+b', { scope: 'orders:read' }),
  program('short-lived', 'short-lived-secret'),
  app('public', { token_endpoint_auth_method: 'none' }),
  app('confidential', { client_secret: 'confidential-secret', token_endpoint_auth_method: 'client_secret_basic' }),
];

const signingKey = () => ({
  ...generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' }),
  kid: randomUUID(),
  alg: 'ES256',
  use: 'sig',
});

// How often each refresh token was presented.
const presented = {};

const lifetime = (_ctx, _token, client) => (client.clientId === 'short-lived' ? 2 : 600);

function authorizationServer(issuer, keys) {
  const provider = new Provider(issuer, {
    adapter: Adapter,
    clients,
    jwks: { keys },
    cookies: { keys: ['tests only'] },
    scopes: ['openid', 'offline_access', 'orders:read', 'orders:write'],
    acrValues: [MFA],
    clientDefaults: { id_token_signed_response_alg: 'ES256' },
    // `at_hash` is optional in the code flow (OpenID Connect Core 3.1.3.6), and the provider leaves it out. Of a token that is
    // given under that name it makes the hash.
    claims: { openid: ['sub', 'at_hash'] },
    findAccount: ({ oidc }, accountId) => ({
      accountId,
      claims: () => ({ sub: accountId, at_hash: oidc.entities.AccessToken?.jti }),
    }),
    interactions: { url: (_ctx, { uid }) => `/interaction/${uid}` },
    pkce: { required: () => true },
    rotateRefreshToken: true,
    // What a step-up is judged by (RFC 9470 section 6.2).
    extraTokenClaims: ({ oidc: { entities } }) => {
      const login = entities.AuthorizationCode ?? entities.RefreshToken;
      return login && { acr: login.acr, auth_time: login.authTime };
    },
    ttl: {
      AccessToken: lifetime,
      ClientCredentials: lifetime,
      AuthorizationCode: 60,
      IdToken: 600,
      RefreshToken: 3600,
      Grant: 3600,
      Interaction: 600,
      Session: 3600,
    },
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      revocation: { enabled: true, allowedPolicy: (_ctx, client, token) => token.clientId === client.clientId },
    },
  });
  provider.use(async (ctx, next) => {
    await next();
    const { grant_type, refresh_token } = ctx.oidc?.params ?? {};
    if (grant_type === 'refresh_token') presented[refresh_token] = (presented[refresh_token] ?? 0) + 1;
  });
  provider.on('server_error', (_ctx, error) => console.error(error));
  return provider;
}

// A person who says yes to everything at once: logs in as `login_hint`, in the first of the ways asked for. `nobody` says no.
async function interact(provider, req, res) {
  const { params } = await provider.interactionDetails(req, res);
  const accountId = params.login_hint ?? 'user-1';
  if (accountId === 'nobody') {
    return provider.interactionFinished(req, res, { error: 'access_denied', error_description: 'the person said no' });
  }
  const grant = new provider.Grant({ accountId, clientId: params.client_id });
  grant.addOIDCScope(params.scope);
  const grantId = await grant.save();
  const acr = params.acr_values?.split(' ')[0];
  return provider.interactionFinished(req, res, { login: { accountId, acr }, consent: { grantId } });
}

// ---- Resource server

const calls = {};

// What the token of a request is good for, and else the challenge (RFC 6750 section 3, RFC 9470 section 3).
async function judge(provider, path, authorization) {
  const [, value] = /^Bearer ([!-~]+)$/.exec(authorization ?? '') ?? [];
  if (!value) return [401, 'Bearer realm="orders"'];
  const token = (await provider.AccessToken.find(value)) ?? (await provider.ClientCredentials.find(value));
  if (!token) return [401, 'Bearer realm="orders", error="invalid_token", error_description="expired, revoked or unknown"'];
  const scopes = new Set(token.scope?.split(' '));
  const scope = path === '/orders/new' ? 'orders:write' : 'orders:read';
  if (!scopes.has(scope)) return [403, `Bearer realm="orders", error="insufficient_scope", scope="${scope}"`];
  const { acr, auth_time } = token.extra ?? {};
  if (path === '/payouts' && (acr !== MFA || Date.now() / 1000 - auth_time > 300)) {
    return [401, `Bearer realm="orders", error="insufficient_user_authentication", acr_values="${MFA}", max_age="300"`];
  }
  return [200];
}

// ---- Both

const loopback = (handler, port = 0) =>
  new Promise((resolve) => {
    const server = createServer((req, res) => {
      Promise.resolve(handler(req, res)).catch((error) => {
        console.error(error);
        res.writeHead(500).end();
      });
    });
    server.listen(port, '127.0.0.1', () => resolve(server.address().port));
  });

let provider;
let tenant;
const port = await loopback((req, res) => {
  if (req.url.startsWith('/interaction/')) return interact(provider, req, res);
  if (!req.url.startsWith('/tenant/')) return provider.callback()(req, res);
  req.originalUrl = req.url;
  req.url = req.url.slice('/tenant'.length);
  return tenant.callback()(req, res);
}, options.port);
const issuer = `http://127.0.0.1:${port}`;

let keys = store.get('keys') ?? [signingKey()];
// The first key signs. A provider takes its keys once, so that another one takes its place, over the same store.
function serve() {
  store.set('keys', keys);
  provider = authorizationServer(issuer, keys);
}
serve();
// An issuer with a path, whose metadata is where OpenID Connect Discovery has it, and not where RFC 8414 does.
tenant = authorizationServer(`${issuer}/tenant`, keys);

const resource = await loopback(async (req, res) => {
  const { pathname: path } = new URL(req.url, 'http://resource');
  const json = (value) => res.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value));
  req.resume();
  switch (path) {
    case '/control/rotate-key':
      keys = [signingKey(), ...keys];
      serve();
      return json(null);
    case '/control/withdraw-former-keys':
      keys = keys.slice(0, 1);
      serve();
      return json(null);
    // One access token alone: by RFC 7009, this provider ends the whole login with it.
    case '/control/forget':
      await (await provider.AccessToken.find(req.headers['x-token']))?.destroy();
      return json(null);
    case '/control/presented':
      return json(presented);
    default: {
      const [status, challenge] = await judge(provider, path, req.headers.authorization);
      // The answer tells what each request of this call was answered with, this one included.
      const statuses = (calls[req.headers['x-call']] ??= []);
      statuses.push(status);
      return res.writeHead(status, challenge && { 'www-authenticate': challenge }).end(JSON.stringify(statuses));
    }
  }
});

process.stdin.on('end', () => process.exit(0)).resume();

const manifest = new URL(import.meta.resolve('oidc-provider').replace(/lib\/index\.js$/, 'package.json'));
const { version } = JSON.parse(readFileSync(manifest, 'utf8'));
console.log(JSON.stringify({ issuer, resource: `http://127.0.0.1:${resource}`, node: process.version, oidc_provider: version }));
