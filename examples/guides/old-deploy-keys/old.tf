data "bitbucket_deploy_keys" "all" {
  workspace = "acme"
}

output "older_than_90_days" {
  value = [
    for key in data.bitbucket_deploy_keys.all.keys :
    "${key.id} ${key.label}, added: ${key.created_on}"
    if timecmp(key.created_on, timeadd(plantimestamp(), "-2160h")) < 0
  ]
}
