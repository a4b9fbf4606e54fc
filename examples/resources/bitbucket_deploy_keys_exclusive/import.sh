# An import stores the IDs of all existing keys in key_ids. In the configuration, list the keys to keep.
terraform import bitbucket_deploy_keys_exclusive.website acme/website
# Or by the address of the page that lists the keys:
terraform import bitbucket_deploy_keys_exclusive.website https://bitbucket.org/acme/website/admin/access-keys/
