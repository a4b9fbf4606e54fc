data "bitbucket_deploy_keys" "website" {
  workspace  = "acme"
  repository = "website"
}

locals {
  long_ago = timeadd(plantimestamp(), "-2160h") # 90 days

  # For a key that was never used, the time at which it was added counts.
  unused = [
    for key in data.bitbucket_deploy_keys.website.keys : "${key.id} ${key.label}"
    if timecmp(coalesce(key.last_used, key.created_on), local.long_ago) < 0
  ]
}

check "deploy_keys_are_used" {
  assert {
    condition     = length(local.unused) == 0
    error_message = "Not used for 90 days: ${join(", ", local.unused)}."
  }
}
