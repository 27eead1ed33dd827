import CHeader
import MIL

/// Runs the body of an export: a thrown error becomes its status and the message of this thread.
func status(_ body: () throws -> Void) -> mlt_status {
    do {
        try body()
        return 0
    } catch {
        let failure = error as? Failure ?? Failure(.bug, "An error of an unknown kind: \(error)")
        var message = failure.message
        message.withUTF8 { utf8 in
            utf8.withMemoryRebound(to: CChar.self) {
                martlet_keep_message(failure.kind.rawValue, $0.baseAddress, $0.count)
            }
        }
        return failure.kind.rawValue
    }
}

/// The place a result goes to.
func place<Value>(_ out: UnsafeMutablePointer<Value>?) throws -> UnsafeMutablePointer<Value> {
    guard let out else { throw Failure(.invalidArgument, "The place for the result is NULL.") }
    return out
}

/// Hands a new object to the caller.
func give<Object: Handled>(_ out: UnsafeMutablePointer<OpaquePointer?>?, _ make: () throws -> Object) throws {
    let place = try place(out)
    place.pointee = try handles.add(make())
}

/// A text of the caller's.
func text(_ chars: UnsafePointer<CChar>?, _ what: String) throws -> String {
    guard let chars else { throw Failure(.invalidArgument, "The \(what) is NULL.") }
    guard let text = String(validatingCString: chars) else {
        throw Failure(.invalidArgument, "The \(what) is not UTF-8.")
    }
    return text
}
