package api

import "encoding/xml"

// A list is one in an answer: its members are elements of that name in XML. It
// is made by listOf and never nil, so that an empty one is shown as such.
type list[T any] []T

func listOf[T any](s []T) list[T] {
	if s == nil {
		return list[T]{}
	}
	return s
}

// MarshalXML writes each member as <member>.
func (l list[T]) MarshalXML(e *xml.Encoder, start xml.StartElement) error {
	if err := e.EncodeToken(start); err != nil {
		return err
	}
	member := xml.StartElement{Name: xml.Name{Local: "member"}}
	for i := range l {
		if err := e.EncodeElement(&l[i], member); err != nil {
			return err
		}
	}
	return e.EncodeToken(start.End())
}
