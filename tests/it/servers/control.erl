%% Runs inside the broker: evaluates the expressions that come through a socket in the broker's own
%% folder, one line each, and answers each with a line. `rabbitmqctl` takes a second for the same.
Serve = fun Serve(Socket) ->
    case gen_tcp:recv(Socket, 0) of
        {ok, Line} ->
            Answer = try
                {ok, Tokens, _} = erl_scan:string(binary_to_list(Line)),
                {ok, Expressions} = erl_parse:parse_exprs(Tokens),
                {value, Value, _} = erl_eval:exprs(Expressions, []),
                Value
            catch
                Class:Reason -> {Class, Reason}
            end,
            ok = gen_tcp:send(Socket, io_lib:format("~0p~n", [Answer])),
            Serve(Socket);
        {error, _} ->
            gen_tcp:close(Socket)
    end
end.
{ok, [[Path]]} = init:get_argument(control_socket).
%% A killed broker leaves it behind.
file:delete(Path).
spawn(fun() ->
    Options = [{ifaddr, {local, Path}}, {packet, line}, {buffer, 65536}, {active, false}, binary],
    {ok, Listener} = gen_tcp:listen(0, Options),
    Accept = fun Accept() ->
        {ok, Socket} = gen_tcp:accept(Listener),
        Server = spawn(fun() -> receive go -> Serve(Socket) end end),
        ok = gen_tcp:controlling_process(Socket, Server),
        Server ! go,
        Accept()
    end,
    Accept()
end).
