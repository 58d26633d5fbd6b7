# shellcheck shell=bash disable=SC2034,SC2154
# ./dev run: from a checkout to a running store, with its state under .headrace/.

help() {
  cat <<'END'
usage: ./dev run [ARGUMENT...]

Installs what is missing, builds Headrace, starts `headrace store` on 127.0.0.1:9324 with its data in
.headrace/store, and stays until Ctrl-C. Prints the endpoint, where the access keys are, and commands to try.
Arguments go to `headrace store` (its own --help: ./build/release/headrace store --help); for another port:
./dev run --listen 127.0.0.1:9000
END
}

state=$root/.headrace

main() {
  # shellcheck source=tools/dev/setup.sh
  . tools/dev/setup.sh
  setup build run
  build release headrace || die 'build/release does not build'
  start_store "$@"
}

start_store() {
  local ready=$state/ready.json pid status=0
  mkdir -p "$state"
  chmod 700 "$state"
  rm -f "$ready"
  "$(headrace_program)" store --path "$state/store" --listen 127.0.0.1:9324 --ready-file "$ready" "$@" &
  pid=$!
  trap 'kill -TERM $pid 2>/dev/null || true' INT TERM
  while [ ! -s "$ready" ] && kill -0 $pid 2>/dev/null; do sleep 0.1; done
  if [ -s "$ready" ]; then invite "$ready"; fi
  # A signal ends `wait` early: wait again for the store's own end.
  while kill -0 $pid 2>/dev/null; do
    status=0
    wait $pid || status=$?
  done
  ((status == 0)) || die "headrace store ended with exit code $status"
}

# json_text FILE KEY
json_text() { sed -n "s/.*\"$2\":\"\([^\"]*\)\".*/\1/p" "$1"; }
toml_text() { sed -n "s/^$2 = \"\([^\"]*\)\".*/\1/p" "$1" | head -n 1; }

invite() {
  local endpoint keys environment=$state/environment
  endpoint=$(json_text "$1" endpoint)
  keys=$(json_text "$1" keys)
  (
    umask 077
    printf 'export AWS_ACCESS_KEY_ID=%s\nexport AWS_SECRET_ACCESS_KEY=%s\n' \
      "$(toml_text "$keys" id)" "$(toml_text "$keys" secret)" >"$environment"
    printf 'export AWS_DEFAULT_REGION=us-east-1\nexport AWS_ENDPOINT_URL=%s\n' "$endpoint" >>"$environment"
  )
  cat <<END

Headrace's store is ready.
  endpoint   $endpoint        health: $endpoint/_headrace/health
  keys       $keys
  for a shell with them:   . .headrace/environment

Try, in another terminal:
  . .headrace/environment
  aws --endpoint-url $endpoint sqs create-queue --queue-name work
  aws --endpoint-url $endpoint sqs send-message --queue-url $endpoint/000000000000/work --message-body hello
  aws --endpoint-url $endpoint sqs receive-message --queue-url $endpoint/000000000000/work
  aws --endpoint-url $endpoint s3 mb s3://inbox
  aws --endpoint-url $endpoint s3 cp README.md s3://inbox/

Ctrl-C stops it; the data stays in .headrace/store.
END
}
