package hooks

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// MainValue returns the value of one key of [main] in a file that is read as
// cfn-hup.conf is; it is empty where the file, the section or the key is not
// there. What else is wrong with the file is for Load to say.
func MainValue(file, key string) (string, error) {
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read configuration: %w", err)
	}
	var in ini
	in.read(file, data)
	main := in.section(mainSection)
	if main == nil {
		return "", nil
	}
	value, _ := in.get(main, key)
	return value, nil
}
