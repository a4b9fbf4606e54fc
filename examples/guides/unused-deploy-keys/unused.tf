data "bitbucket_deploy_keys" "all" {
  workspace = "acme"
}

locals {
  long_ago = timeadd(plantimestamp(), "-4320h") # 180 days
}

# A key that was never used counts from the day it was added.
output "unused_for_180_days" {
  value = [
    for key in data.bitbucket_deploy_keys.all.keys :
    "${key.id} ${key.label}, last used: ${coalesce(key.last_used, "never")}"
    if timecmp(coalesce(key.last_used, key.created_on), local.long_ago) < 0
  ]
}
