# An apply each hour reads a share of the keys, and every key at least once a day.
provider "bitbucket" {
  username      = "ci@example.com"
  refresh_after = "24h"
}
