data "bitbucket_deploy_keys" "all" {
  workspace = "acme"
}

locals {
  long_ago = timeadd(plantimestamp(), "-2160h") # 90 days
}

# For a key that was never used, the time at which it was added counts.
output "unused_for_90_days" {
  value = [
    for key in data.bitbucket_deploy_keys.all.keys :
    "${key.id} ${key.label}, last used: ${coalesce(key.last_used, "never")}"
    if timecmp(coalesce(key.last_used, key.created_on), local.long_ago) < 0
  ]
}
