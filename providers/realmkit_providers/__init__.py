"""The DNS providers that come with realmkit. They are found through entry points, like anyone's."""
