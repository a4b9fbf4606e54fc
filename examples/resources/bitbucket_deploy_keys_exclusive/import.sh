# An import allows all existing keys: key_ids in the state has their IDs.
terraform import bitbucket_deploy_keys_exclusive.website acme/website
# The address of the page that lists the keys
terraform import bitbucket_deploy_keys_exclusive.website https://bitbucket.org/acme/website/admin/access-keys/
